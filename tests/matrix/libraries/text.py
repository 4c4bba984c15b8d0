"""Words: models of them, stems, tokens. Nothing here needs a download."""

from __future__ import annotations

from dataclasses import replace

from case import Case

CASES = tuple(
    replace(case, long=True)
    for case in (
        Case(
            "gensim.models.Word2Vec, trained on",
            make=(
                "import numpy as np; from gensim.models import Word2Vec",
                "texts = [['a', 'b', 'c'], ['a', 'c'], ['b', 'c']] * 5",
                """
                    w = Word2Vec(texts, vector_size=4, min_count=1, workers=1, seed=1)
                    first = w.wv['a'].copy()
                    keys = w.wv
                """,
            ),
            mutate=("shown = w.train(texts, total_examples=15, epochs=20)", "second = w.wv['a'].copy()"),
            before="assert np.array_equal(w.wv['a'], first) and w.wv is keys",
            after="""
                assert np.array_equal(keys['a'], second) and w.wv is keys
                assert not np.array_equal(first, second)
            """,
            needs=("gensim",),
        ),
        Case(
            "gensim corpora and their models",
            make=(
                "from gensim import corpora, models",
                "d = corpora.Dictionary([['a', 'b'], ['b', 'c']]); bow = d.doc2bow(['a', 'b'])",
                "t = models.TfidfModel(dictionary=d)",
            ),
            mutate=("d.add_documents([['new', 'a']])", "bow.append((3, 1)); t.idfs[0] = 9.0"),
            before="assert len(d) == 3 and d.num_docs == 2 and bow == [(0, 1), (1, 1)] and t.idfs[0] == 1",
            after="assert d.token2id['new'] == 3 and d.num_docs == 3 and len(bow) == 3 and t.idfs[0] == 9",
            needs=("gensim",),
        ),
        Case(
            "nltk.stem.porter.PorterStemmer",
            make=("from nltk.stem.porter import PorterStemmer", "s = PorterStemmer()"),
            mutate=("s.pool['running'] = 'sprint'; s.note = 'mine'",),
            before="assert s.stem('running') == 'run' and 'running' not in s.pool",
            after="assert s.stem('running') == 'sprint' and s.note == 'mine'",
            needs=("nltk",),
        ),
        Case(
            "nltk counts, trees and grammars",
            make=(
                "import nltk",
                """
                    f = nltk.FreqDist('hello')
                    t = nltk.Tree.fromstring('(S (N a) (V b))')
                    c = nltk.ConditionalFreqDist([(1, 'x')])
                """,
                "g = nltk.CFG.fromstring('S -> A A\\nA -> \"a\"'); p = nltk.ChartParser(g)",
            ),
            mutate=("f['l'] += 5; f.update('z')", "t[0][0] = 'changed'; c[1]['x'] += 1"),
            before="""
                assert f['l'] == 2 and f.N() == 5 and t.leaves() == ['a', 'b'] and c[1]['x'] == 1
                assert len(list(p.parse(['a', 'a']))) == 1
            """,
            after="""
                assert f['l'] == 7 and f.N() == 11 and t.leaves() == ['changed', 'b'] and c[1]['x'] == 2
                assert p.grammar() is g
            """,
            needs=("nltk",),
        ),
        Case(
            "textblob.TextBlob",
            make=(
                "from textblob import TextBlob; from textblob.classifiers import NaiveBayesClassifier",
                "from textblob.tokenizers import BaseTokenizer",
                """
                class Split(BaseTokenizer):
                    def tokenize(self, text): return text.split()
                """,
                "b = TextBlob('good day', tokenizer=Split()); words = b.tokens",
                """
                    taught = [(['good'], 'pos'), (['bad'], 'neg')]
                    def features(doc, *rest): return {'bad': 'bad' in doc}
                    c = NaiveBayesClassifier(taught, feature_extractor=features)
                """,
            ),
            mutate=("words.append('sunshine'); b.note = 'mine'", "shown = c.update([(['bad'], 'pos')] * 9)"),
            before="""
                assert b.tokens == ['good', 'day'] and b.tokens is words and c.classify(['bad']) == 'neg'
                assert type(b.tokenizer) is Split
            """,
            after="""
                assert b.tokens[-1] == 'sunshine' and b.note == 'mine' and b.upper() == 'GOOD DAY'
                assert c.classify(['bad']) == 'pos'
            """,
            needs=("textblob", "nltk"),
        ),
        Case(
            "tokenizers.Tokenizer, trained here",
            make=(
                "from tokenizers import Tokenizer, models, pre_tokenizers, trainers",
                "t = Tokenizer(models.BPE(unk_token='?')); t.pre_tokenizer = pre_tokenizers.Whitespace()",
                """
                    trainer = trainers.BpeTrainer(special_tokens=['?'], show_progress=False)
                    t.train_from_iterator(['ab ab abc'], trainer)
                """,
            ),
            mutate=("shown = t.add_tokens(['zz']); t.enable_padding(length=4)",),
            before="assert t.get_vocab_size() == 6 and t.encode('ab').tokens == ['ab'] and t.padding is None",
            after="""
                assert t.encode('zz').ids[0] == 6 and len(t.encode('zz').ids) == 4
                assert t.encode('ab').tokens[0] == 'ab'
            """,
            needs=("tokenizers",),
        ),
        Case(
            "llm.default_plugins.openai_models.Chat, and a conversation",
            make=(
                "import llm; from llm.default_plugins.openai_models import Chat",
                "m = Chat('mine', model_name='m'); talk = m.conversation()",
            ),
            mutate=("m.model_name = 'other'; m.can_stream = False", "talk.name = 'about it'"),
            before="""
                assert m.model_name == 'm' and m.can_stream and talk.model is m and talk.name is None
                assert m.Options(temperature=1).temperature == 1
            """,
            after="""
                assert m.model_name == 'other' and not m.can_stream and talk.model is m
                assert talk.name == 'about it'
            """,
            needs=("llm",),
        ),
    )
)
