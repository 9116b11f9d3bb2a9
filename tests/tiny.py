"""Tiny random checkpoints in the layout that a hub serves, one of every kind that an engine loads: 2 MB in a second.

    .venvs/transformers/bin/python tests/tiny.py FOLDER

What they say is noise: they show that what is fetched is loaded and asked as it must be, and nothing else.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    HubertConfig,
    HubertForSequenceClassification,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizerFast,
)

SAID = [
    "Hello, how are you? The meeting was very productive.",
    "We will discuss the budget and the release on Friday.",
    "Hola, la reunión fue muy productiva.",
    "Bonjour, la réunion. Guten Morgen, das Treffen.",
    "你好，会议很有成效。 こんにちは、会議です。 안녕하세요",
    "Привет, встреча прошла хорошо. مرحبا، كان الاجتماع جيدا",
] * 20
LANGUAGES = ("en", "zh", "es", "fr", "de", "ja", "ko", "ru", "ar", "pt", "it")
SMALL: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}


def whisper(folder: Path) -> None:
    """Multilingual speech recognition."""
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokens.train_from_iterator(
        SAID, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{each}|>" for each in LANGUAGES)]
    special += [
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    tokens.add_special_tokens(special)
    tokens.add_tokens([f"<|{index * 0.02:.2f}|>" for index in range(1501)])
    with tempfile.TemporaryDirectory() as made:
        tokens.save(f"{made}/tokenizer.json")
        end = special[0]
        tokenizer = WhisperTokenizerFast(
            tokenizer_file=f"{made}/tokenizer.json", bos_token=end, eos_token=end, unk_token=end, pad_token=end
        )
    tokenizer.add_special_tokens({"extra_special_tokens": special[1:]})
    number = tokenizer.convert_tokens_to_ids
    ends = {"eos_token_id": number(end), "pad_token_id": number(end), "bos_token_id": number(end)}
    starts = {"decoder_start_token_id": number(special[1])}
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        **SMALL,
        max_target_positions=128,
        num_mel_bins=80,
        **ends,
        **starts,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        alignment_heads=[[1, 0], [1, 1]],
        is_multilingual=True,
        max_length=64,
        max_initial_timestamp_index=50,
        lang_to_id={f"<|{each}|>": number(f"<|{each}|>") for each in LANGUAGES},
        task_to_id={each: number(f"<|{each}|>") for each in ("translate", "transcribe")},
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        suppress_tokens=[],
        begin_suppress_tokens=[number(end)],
        return_timestamps=False,
        **ends,
        **starts,
    )
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=80), tokenizer).save_pretrained(folder)


def hubert(folder: Path, labels: list[str]) -> None:
    """A classifier of recordings."""
    config = HubertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=16,
        id2label=dict(enumerate(labels)),
        label2id={each: index for index, each in enumerate(labels)},
    )
    HubertForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000, do_normalize=True).save_pretrained(folder)


def tokenizer_of_bytes() -> PreTrainedTokenizerFast:
    """As RoBERTa's and BART's."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokens = Tokenizer(models.BPE(unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokens.train_from_iterator(SAID, trainer)
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=256,
    )


def bart(folder: Path) -> None:
    """A summarizer."""
    tokens = tokenizer_of_bytes()
    config = BartConfig(
        vocab_size=len(tokens),
        **SMALL,
        max_position_embeddings=256,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )
    BartForConditionalGeneration(config).save_pretrained(folder)
    tokens.save_pretrained(folder)


def m2m100(folder: Path) -> None:
    """A translator between a hundred languages."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "said.txt").write_text("\n".join(SAID), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=f"{made}/said.txt",
            model_prefix=f"{made}/pieces",
            vocab_size=300,
            character_coverage=1.0,
            minloglevel=2,
            hard_vocab_limit=False,
        )
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{made}/pieces.model")
        numbers = {each: index for index, each in enumerate(["<s>", "<pad>", "</s>", "<unk>"])}
        for index in range(pieces.get_piece_size()):
            numbers.setdefault(pieces.id_to_piece(index), len(numbers))
        (Path(made) / "vocab.json").write_text(json.dumps(numbers))
        tokens = M2M100Tokenizer(vocab_file=f"{made}/vocab.json", spm_file=f"{made}/pieces.model")
        size = max(tokens.get_lang_id(each) for each in ("zh", "zu", "en")) + 9
        config = M2M100Config(
            vocab_size=size,
            **SMALL,
            max_position_embeddings=300,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
            max_length=40,
        )
        M2M100ForConditionalGeneration(config).save_pretrained(folder)
        tokens.save_pretrained(folder)


def roberta(folder: Path, labels: list[str], *, several: bool = False) -> None:
    """A classifier of texts."""
    tokens = tokenizer_of_bytes()
    config = RobertaConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=260,
        type_vocab_size=1,
        pad_token_id=1,
        id2label=dict(enumerate(labels)),
        label2id={each: index for index, each in enumerate(labels)},
        problem_type="multi_label_classification" if several else None,
    )
    RobertaForSequenceClassification(config).save_pretrained(folder)
    tokens.save_pretrained(folder)


def main(folder: Path) -> None:
    """All of them, under the names that the registry has."""
    torch.manual_seed(0)
    whisper(folder / "openai" / "whisper-base")
    hubert(folder / "superb" / "hubert-base-superb-er", ["neu", "hap", "ang", "sad"])
    hubert(folder / "MelodyMachine" / "Deepfake-audio-detection-V2", ["fake", "real"])
    bart(folder / "facebook" / "bart-large-cnn")
    m2m100(folder / "facebook" / "m2m100_418M")
    moods = ["positive", "neutral", "negative"]
    roberta(folder / "lxyuan" / "distilbert-base-multilingual-cased-sentiments-student", moods)
    feelings = ["anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust"]
    roberta(folder / "cardiffnlp" / "twitter-roberta-base-emotion-latest", feelings, several=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
