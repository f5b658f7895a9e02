"""Open models on this machine: sampled and fine-tuned in worker processes (extra `finetune`)."""
