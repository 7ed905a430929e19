"""What runs while sessions are logged on: callbacks, delivery, replay, housekeeping."""
