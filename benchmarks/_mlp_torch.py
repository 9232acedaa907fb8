"""The perceptron 784-512-512-10 with dropout and RMSprop in PyTorch."""

from benchmarks._classify import Work, pictures
from benchmarks._row import Laps


def torch(work: Work, laps: Laps) -> None:
    """Batches are indexed from tensors in memory, which is faster than a ``DataLoader``."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x, y = map(torch.from_numpy, pictures(work))
    y = y.long()
    hidden = work.hidden
    model = nn.Sequential(
        *(nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(work.rate)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(work.rate)),
        nn.Linear(hidden, 10),
    )
    model.train()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=work.learning_rate, alpha=0.9, eps=1e-8)
    loss_of = nn.CrossEntropyLoss()
    while True:
        order = torch.randperm(len(x))
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for start in range(0, len(x), work.batch):
            chosen = order[start : start + work.batch]
            labels = y[chosen]
            logits = model(x[chosen])
            loss = loss_of(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
            right += (logits.argmax(-1) == labels).sum()
        laps(float(total) / len(x))
