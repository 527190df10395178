"""What people read: the sentences in their language, and strangers' texts made safe to show."""
