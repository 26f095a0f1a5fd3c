"""Drawing: what a picture is made of, how it is drawn, and what is written into it."""
