"""How the answer looks: the same run and verdict as a page, a summary, a test report or terminal text."""
