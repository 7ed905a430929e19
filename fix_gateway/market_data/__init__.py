"""Market data by FIX: who has subscribed to what, and what each is to be told next."""
