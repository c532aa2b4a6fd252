"""What any process does to hand work over: emit an event, enqueue a job."""
