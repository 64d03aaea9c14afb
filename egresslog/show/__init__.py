"""The only place that knows terminals, colors, HTML and other forms of output."""
