"""A policy in the learned model, and the gradients of its expected cost: CasADi expressions that are differentiated."""
