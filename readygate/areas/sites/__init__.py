"""Sites: what endpoints answer, what they refuse, and what they give away."""
