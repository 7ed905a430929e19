"""Authentication, authorization, rate limits and idempotency."""
