"""What watches over production, and must itself be watched."""
