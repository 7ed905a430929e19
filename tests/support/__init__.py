"""What tests share: an oracle, venues, strategies, a FIX desk."""
