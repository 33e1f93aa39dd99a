"""What goes into a paper: figure, caption, table, references, and a page that holds them."""
