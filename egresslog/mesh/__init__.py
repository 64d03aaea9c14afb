"""What the mesh's configuration says: about access logs, and about the rights egresslog needs to read it."""
