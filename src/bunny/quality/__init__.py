"""What makes a good training picture: measures, duplicates, flags."""
