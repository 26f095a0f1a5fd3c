"""The board: clusters as folders of small pictures, corrected by dragging, keys or words."""
