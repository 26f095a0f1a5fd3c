"""`bunny demo`: every stage on the embedded sample film, with settings of its own."""
