import torch
from torch.nn.functional import cross_entropy

from models.config import ModelConfig
from models.networks.classifier import Classifier
from models.training.adversarial import perturb

LENGTHS = torch.tensor([7, 3, 1])
LABELS = torch.tensor([0, 1, 1])


def make_classifier() -> Classifier:
    torch.manual_seed(1)
    config = ModelConfig(vocab_size=50, embedding_size=8, encoder_size=6, encoder_layers=1)
    return Classifier(config, num_labels=2).eval()


def embed(model: Classifier) -> torch.Tensor:
    torch.manual_seed(2)
    embedded: torch.Tensor = model.embedding(torch.randint(0, 50, (3, 7)))
    return embedded


def test_perturbed_text_has_a_higher_loss() -> None:
    model = make_classifier()
    embedded = embed(model)
    losses = cross_entropy(model.read(embedded, LENGTHS), LABELS, reduction="none")

    perturbed = perturb(embedded, LENGTHS, losses.mean(), 0.05)

    worse = cross_entropy(model.read(perturbed, LENGTHS), LABELS, reduction="none")
    assert bool((worse > losses).all())


def test_each_text_moves_by_a_share_of_its_norm() -> None:
    model = make_classifier()
    embedded = embed(model) * torch.tensor([1.0, 10.0, 0.1])[:, None, None]
    loss = cross_entropy(model.read(embedded, LENGTHS), LABELS)

    step = perturb(embedded, LENGTHS, loss, 0.2) - embedded

    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(step[row].norm(), 0.2 * embedded[row, :length].norm())
        assert not step[row, length:].any()


def test_loss_without_gradient_moves_nothing() -> None:
    model = make_classifier()
    embedded = 1e3 * embed(model)

    perturbed = perturb(embedded, LENGTHS, (0.0 * embedded).sum(), 0.2)

    assert torch.equal(perturbed, embedded)


def test_embeddings_learn_from_perturbed_texts() -> None:
    model = make_classifier()
    embedded = embed(model)
    loss = cross_entropy(model.read(embedded, LENGTHS), LABELS)
    perturbed = perturb(embedded, LENGTHS, loss, 0.05)

    cross_entropy(model.read(perturbed, LENGTHS), LABELS).backward()

    weights = model.embedding.weight
    assert weights.grad is not None
    assert bool(weights.grad.any())
