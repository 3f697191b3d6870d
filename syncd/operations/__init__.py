"""What is made of the parts of a run beside the run itself: verify, link, rekey, explain, doctor."""
