"""Which way a monitored name should go is told by whole words, or asked for."""

import pytest

from jaxnn import train

RISE = """accuracy val_accuracy acc binary_accuracy val_top_5_accuracy top_k_accuracy accuracy_top_5 f1 val_f1 macro_f1
f1_macro f1_score valF1 auc roc_auc auc_roc precision val_recall recall_at_5 valAccuracy head.accuracy top-1-accuracy"""
FALL = """loss val_loss token_loss val/loss valLoss loss_2 error val_acceleration_error squared_error error_rate
faccultative_error accuracies_loss aucuba_loss perplexity val_perplexity accent_error"""
ASK = """inaccuracy accident precision_error mean_accuracy_loss bits bits_per_byte learning_rate accuracy_gap score
loss_scale loss_reduction val_accuracy_drop f10 f0.5 valloss glossary lossless terror error_free mirror neg_loss
negative_accuracy one_minus_auc 1-auc -loss seconds confusion_matrix val_ acceleration auction
val_drop_in_accuracy val_gap_accuracy val_lost_accuracy val_std_accuracy val_distance_to_auc val_1-accuracy
accuracy_std generalization_gap_auc"""


@pytest.mark.parametrize("name", RISE.split())
def test_what_rises(name: str) -> None:
    policy = train.early_stopping(name, patience=1)
    better = policy.update(policy.update(policy.init, {"epoch": 1, name: 0.5}), {"epoch": 2, name: 0.6})
    assert (better.best, better.best_epoch) == (0.6, 2)


@pytest.mark.parametrize("name", FALL.split())
def test_what_falls(name: str) -> None:
    policy = train.early_stopping(name, patience=1)
    worse = policy.update(policy.update(policy.init, {"epoch": 1, name: 0.5}), {"epoch": 2, name: 0.6})
    assert (worse.best, worse.best_epoch, worse.stop) == (0.5, 1, True)


@pytest.mark.parametrize("name", [*ASK.split(), "1 - accuracy", ""])
def test_what_can_not_be_told_is_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match=r"can't tell whether .* pass mode='min' or mode='max'"):
        train.early_stopping(name)
    for mode, best in (("min", 0.5), ("max", 0.6)):
        policy = train.early_stopping(name, mode=mode)
        state = policy.update(policy.update(policy.init, {"epoch": 1, name: 0.5}), {"epoch": 2, name: 0.6})
        assert state.best == best
