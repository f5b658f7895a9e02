"""Who fine-tunes models: a provider's service. Open models here: `adapters/local`."""
