"""Whether what prompts ask for is in the masks of generated cases, by measurements that never saw the prompt."""
