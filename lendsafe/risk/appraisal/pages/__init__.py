"""Pages as templates, one look for all: inline style and pictures, no script, nothing fetched."""
