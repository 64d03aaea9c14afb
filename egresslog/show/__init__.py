"""The only place that knows terminals, colours, HTML and other forms of output."""
