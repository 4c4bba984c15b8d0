"""Models: they predict the same, have learned the same, and go on learning to the same."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

from case import Case

DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = (X[:, 0] + X[:, 1] > 0).astype(int)
target = X @ [1.0, 2.0, 3.0, 4.0] + 0.1 * rng.normal(size=60)
def close(a, b):
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
"""


def model(
    name: str,
    make: str,
    mutate: str,
    shows: str,
    *,
    before: str = "",
    after: str = "",
    needs: tuple[str, ...] = ("sklearn",),
) -> Case:
    """A `model` for which the expression `shows` has to give what it gave when it was made, and changed.

    That is also compared with what a model gives that the check makes anew, without the product in between.
    """
    again = f"assert close({shows}, first)"
    return Case(
        name,
        make=(DATA, make, f"first = np.asarray({shows}, dtype=float)"),
        mutate=(mutate, f"second = np.asarray({shows}, dtype=float)"),
        before=f"{again}\n{dedent(before)}\n{dedent(make)}\n{again}",
        after=f"assert close({shows}, second)\nassert not close(first, second)\n{dedent(after)}",
        needs=("numpy", *needs),
    )


SKLEARN_CASES = (
    model(
        "sklearn.cluster.KMeans",
        "from sklearn.cluster import KMeans\nmodel = KMeans(3, n_init=1, random_state=0).fit(X)",
        "model.set_params(n_clusters=4).fit(X * 2)",
        "model.transform(X).sum(axis=1)",
        before="assert model.n_clusters == 3 and model.labels_.shape == (60,)",
        after="assert model.n_clusters == 4 and model.cluster_centers_.shape == (4, 4)",
    ),
    model(
        "sklearn.cluster.Birch, a tree that grows",
        "from sklearn.cluster import Birch\nmodel = Birch(threshold=1.0, n_clusters=None).fit(X[:30])",
        "model.partial_fit(X[30:] + 5)",
        "[len(model.subcluster_centers_), model.subcluster_centers_.sum(), model.predict(X).sum()]",
        before="assert model.root_.subclusters_",
    ),
    model(
        "sklearn.compose.ColumnTransformer",
        "from sklearn.compose import ColumnTransformer\nfrom sklearn.preprocessing import StandardScaler\n"
        "model = ColumnTransformer([('s', StandardScaler(), [0, 1])], remainder='passthrough').fit(X)",
        "model.named_transformers_['s'].mean_ += 1",
        "model.transform(X).sum(axis=0)",
        after="assert model.transformers_[0][1] is model.named_transformers_['s']",
    ),
    Case(
        "sklearn.datasets, a bunch",
        make=(
            "from sklearn.datasets import load_iris",
            "iris = load_iris(as_frame=True)",
            "data = iris.data",
        ),
        mutate=("iris.data.iloc[0, 0] = 100", "iris['target_names'] = ['a', 'b', 'c']", "iris.note = 'mine'"),
        before="""
            assert iris.data is data and data.iloc[0, 0] == 5.1 and list(iris.target_names)[0] == 'setosa'
            assert 'note' not in iris
        """,
        after="""
            assert iris.data is data and data.iloc[0, 0] == 100 and iris.target_names == ['a', 'b', 'c']
            assert iris.note == 'mine'
        """,
        needs=("sklearn", "pandas"),
    ),
    Case(
        "sklearn.datasets, made arrays",
        make=("from sklearn.datasets import make_blobs", "X, y = make_blobs(20, centers=2, random_state=3)"),
        mutate=("X -= X.mean(axis=0)", "y[y == 1] = 7"),
        before="assert set(y) == {0, 1} and (X == make_blobs(20, centers=2, random_state=3)[0]).all()",
        after="assert set(y) == {0, 7} and abs(X.mean()) < 1e-9",
        needs=("sklearn",),
    ),
    model(
        "sklearn.decomposition.PCA",
        "from sklearn.decomposition import PCA\nmodel = PCA(2, svd_solver='full').fit(X)",
        "model.components_ *= -1; model.mean_[0] = 5",
        "model.transform(X)",
    ),
    model(
        "sklearn.decomposition.IncrementalPCA and NMF",
        """
            from sklearn.decomposition import IncrementalPCA, NMF
            model = IncrementalPCA(2).fit(X[:30])
            nmf = NMF(2, init='nndsvd', max_iter=50, tol=0.1).fit(abs(X))
        """,
        "model.partial_fit(X[30:]); nmf.components_[0] = 0",
        "[model.transform(X).sum(), model.n_samples_seen_, nmf.components_.sum()]",
    ),
    model(
        "sklearn.discriminant_analysis",
        """
            from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
            model = LinearDiscriminantAnalysis().fit(X, y)
        """,
        "model.fit(X, 1 - y)",
        "model.decision_function(X)",
    ),
    model(
        "sklearn.dummy",
        "from sklearn.dummy import DummyRegressor\nmodel = DummyRegressor().fit(X, target)",
        "model.constant_[0] = 42",
        "model.predict(X)",
    ),
    model(
        "sklearn.ensemble.RandomForestClassifier, grown further",
        """
            from sklearn.ensemble import RandomForestClassifier
            model = RandomForestClassifier(5, warm_start=True, random_state=0).fit(X, y)
        """,
        "model.set_params(n_estimators=9).fit(X, y)",
        "model.predict_proba(X)[:, 1]",
        after="assert len(model.estimators_) == 9",
    ),
    model(
        "sklearn.ensemble.HistGradientBoostingRegressor, boosted further",
        "from sklearn.ensemble import HistGradientBoostingRegressor\n"
        "model = HistGradientBoostingRegressor(max_iter=5, warm_start=True, min_samples_leaf=5)\n"
        "model.fit(X, target)",
        "model.set_params(max_iter=8).fit(X, target)",
        "model.predict(X)",
    ),
    Case(
        "sklearn.feature_extraction.text",
        make=(
            "from sklearn.feature_extraction.text import TfidfVectorizer",
            "v = TfidfVectorizer(tokenizer=lambda text: text.split(), token_pattern=None)",
            "docs = v.fit_transform(['a b', 'b c'])",
        ),
        mutate=("v.vocabulary_['c'], v.vocabulary_['a'] = 0, 2; v.idf_[:] = [5, 1, 1]", "docs.data *= 2"),
        before="""
            assert sorted(v.vocabulary_) == ['a', 'b', 'c'] and docs.shape == (2, 3)
            assert (v.transform(['a b', 'b c']) != docs).nnz == 0
        """,
        after="assert v.transform(['c'])[0, 0] == 1 and v.idf_.tolist() == [5, 1, 1] and docs.max() > 1",
        needs=("sklearn",),
    ),
    model(
        "sklearn.feature_selection",
        """
            from sklearn.feature_selection import SelectKBest, f_classif
            model = SelectKBest(f_classif, k=2).fit(X, y)
        """,
        "model.scores_[3] = 1e9",
        "model.get_support()",
        before="assert model.score_func is f_classif",
    ),
    model(
        "sklearn.impute.SimpleImputer",
        "from sklearn.impute import SimpleImputer\nmodel = SimpleImputer().fit(X)",
        "model.statistics_[:] = 9",
        "model.transform([[np.nan] * 4])",
    ),
    model(
        "sklearn.impute.KNNImputer",
        "from sklearn.impute import KNNImputer\nmodel = KNNImputer(n_neighbors=2).fit(X)",
        "model.n_neighbors = 30",
        "model.transform([[np.nan, 0, 0, 0]])",
    ),
    model(
        "sklearn.impute.MissingIndicator",
        """
            from sklearn.impute import MissingIndicator
            model = MissingIndicator(error_on_new=False).fit([[np.nan, 1], [1, 2]])
        """,
        "model.features_[0] = 1",
        "model.transform([[np.nan, 1], [1, 1]])[:, 0]",
    ),
    model(
        "sklearn.kernel_ridge",
        "from sklearn.kernel_ridge import KernelRidge\nmodel = KernelRidge(kernel='rbf').fit(X, target)",
        "model.dual_coef_ *= 2",
        "model.predict(X)",
    ),
    model(
        "sklearn.linear_model.LinearRegression",
        "from sklearn.linear_model import LinearRegression\nmodel = LinearRegression().fit(X, target)",
        "model.coef_[0] = 100; model.fitted_by = 'me'",
        "model.predict(X)",
        before="assert not hasattr(model, 'fitted_by')",
        after="assert model.fitted_by == 'me'",
    ),
    model(
        "sklearn.linear_model.SGDClassifier, trained on",
        """
            from sklearn.linear_model import SGDClassifier
            model = SGDClassifier(random_state=0).partial_fit(X, y, classes=[0, 1])
        """,
        "for step in range(3): model.partial_fit(X, y)",
        "[*model.coef_[0], model.t_]",
    ),
    model(
        "sklearn.manifold",
        "from sklearn.manifold import Isomap\nmodel = Isomap(n_neighbors=20).fit(X)",
        "model.embedding_[0] = 9; model.n_neighbors = 3",
        "[model.embedding_[0, 0], model.n_neighbors, abs(model.dist_matrix_).sum()]",
    ),
    Case(
        "sklearn.metrics, a scorer and a display",
        make=(
            "from sklearn.metrics import confusion_matrix, make_scorer, fbeta_score",
            "cm = confusion_matrix([0, 1, 1], [0, 1, 0])",
            "scorer = make_scorer(fbeta_score, beta=2)",
        ),
        mutate=("cm[0, 0] = 50", "scorer._kwargs['beta'] = 0.5"),
        before="""
            assert cm.tolist() == [[1, 0], [1, 1]] and scorer._kwargs == {'beta': 2}
            assert scorer._score_func is fbeta_score
        """,
        after="assert cm[0, 0] == 50 and scorer._kwargs == {'beta': 0.5}",
        needs=("sklearn",),
    ),
    model(
        "sklearn.metrics.pairwise",
        "from sklearn.metrics.pairwise import cosine_similarity\nmodel = cosine_similarity(X)",
        "np.fill_diagonal(model, 0)",
        "model.sum(axis=0)",
    ),
    model(
        "sklearn.mixture",
        """
            from sklearn.mixture import GaussianMixture
            model = GaussianMixture(2, warm_start=True, max_iter=1, tol=1000000000.0, random_state=0).fit(X)
        """,
        "model.fit(X + 1)",
        "model.score_samples(X)",
    ),
    model(
        "sklearn.model_selection.GridSearchCV",
        "from sklearn.model_selection import GridSearchCV, KFold\nfrom sklearn.linear_model import Ridge\n"
        "model = GridSearchCV(Ridge(), {'alpha': [0.1, 10.0]}, cv=KFold(3)).fit(X, target)",
        """
            model.param_grid['alpha'].append(100.0)
            model.estimator.fit_intercept = False
            model.fit(X + 3, target)
        """,
        "model.predict(X)",
        before="assert len(model.cv_results_['params']) == 2 and model.best_estimator_.alpha == 0.1",
        after="assert len(model.cv_results_['params']) == 3",
    ),
    model(
        "sklearn.multiclass",
        "from sklearn.multiclass import OneVsRestClassifier\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "model = OneVsRestClassifier(LogisticRegression()).fit(X, y + 2 * (X[:, 2] > 0))",
        "model.estimators_[1].coef_ *= 0",
        "model.decision_function(X)",
    ),
    model(
        "sklearn.naive_bayes",
        "from sklearn.naive_bayes import GaussianNB\nmodel = GaussianNB().fit(X[:30], y[:30])",
        "model.partial_fit(X[30:], y[30:])",
        "model.predict_proba(X)[:, 0]",
    ),
    model(
        "sklearn.neighbors, a tree behind a classifier",
        """
            from sklearn.neighbors import KNeighborsClassifier
            model = KNeighborsClassifier(3, algorithm='ball_tree').fit(X, y)
        """,
        "model.set_params(n_neighbors=11, algorithm='kd_tree').fit(X + 0.1, y)",
        "model.kneighbors(X)[0].sum(axis=1)",
    ),
    model(
        "sklearn.neural_network, trained on",
        """
            from sklearn.neural_network import MLPRegressor
            model = MLPRegressor(hidden_layer_sizes=(5,), random_state=0).partial_fit(X, target)
        """,
        "for step in range(3): model.partial_fit(X, target)",
        "[*model.coefs_[0].ravel(), model.t_]",
        before="assert model._optimizer.t == 1 and len(model.loss_curve_) == 1",
        after="assert model._optimizer.t == 4 and len(model.loss_curve_) == 4",
    ),
    model(
        "sklearn.pipeline, whose steps have names of their own",
        "from sklearn.linear_model import Ridge\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "scaler, ridge = StandardScaler(), Ridge(); model = make_pipeline(scaler, ridge).fit(X, target)",
        "ridge.alpha = 100; model.fit(X, target); scaler.mean_[0] += 1",
        "model.predict(X)",
        before="assert model[0] is scaler and model[1] is ridge",
        after="assert model[0] is scaler and model[1] is ridge and ridge.alpha == 100",
    ),
    model(
        "sklearn.preprocessing",
        "from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler\n"
        "model = StandardScaler().fit(X); log = FunctionTransformer(lambda v: np.add(v, 1))\n"
        "hot = OneHotEncoder().fit([['a'], ['b']])",
        "model.partial_fit(X * 10); log.func = np.negative; hot.categories_[0][1] = 'z'",
        "[*model.transform(X).sum(axis=0), log.transform([[1.0]])[0][0], 'z' in hot.categories_[0]]",
    ),
    model(
        "sklearn.random_projection",
        """
            from sklearn.random_projection import SparseRandomProjection
            model = SparseRandomProjection(3, density=0.5, random_state=0).fit(X)
        """,
        "model.components_.data[:] = 1",
        "model.transform(X)",
    ),
    model(
        "sklearn.svm",
        "from sklearn.svm import SVC\nmodel = SVC(probability=False).fit(X, y)",
        "model.set_params(C=100, kernel='poly').fit(X, y)",
        "model.decision_function(X)",
    ),
    model(
        "sklearn.tree, and what is set in its arrays",
        """
            from sklearn.tree import DecisionTreeRegressor
            model = DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, target)
        """,
        "model.tree_.value[:] = 7; model.tree_.threshold[0] = 100",
        "model.predict(X)",
    ),
    Case(
        "sklearn.utils.Bunch and a random state",
        make=(
            "from sklearn.utils import Bunch, check_random_state",
            "b = Bunch(rows=[1])",
            "state = check_random_state(3)",
        ),
        mutate=("b.rows.append(2); b.more = b", "drawn = state.rand()"),
        before="assert b == {'rows': [1]} and state.get_state()[2] == 624",
        after="""
            assert b.rows == [1, 2] and b['more'] is b and drawn == check_random_state(3).rand()
            assert state.get_state()[2] == 2
        """,
        needs=("sklearn",),
    ),
)

SKLEARN_CASES += (
    Case(
        "sklearn.ensemble.RandomForestClassifier that only predicts",
        make=(
            DATA,
            "from sklearn.ensemble import RandomForestClassifier",
            "model = RandomForestClassifier(5, random_state=0).fit(X, y); holder = {'model': model}",
        ),
        mutate=("hits = model.score(X, y); importance = model.feature_importances_; text = repr(model)",),
        before="assert holder['model'] is model and len(model.estimators_) == 5",
        after="assert hits > 0.8 and importance.shape == (4,) and holder['model'] is model",
        unchanged=("model", "holder", "X"),
        needs=("sklearn",),
    ),
    Case(
        "sklearn estimator of the notebook, in a pipeline",
        make=(
            DATA,
            "from sklearn.base import BaseEstimator, TransformerMixin, clone",
            "from sklearn.pipeline import Pipeline",
            "from sklearn.linear_model import Ridge",
            """
            class Shift(TransformerMixin, BaseEstimator):
                def __init__(self, by=1.0): self.by = by
                def fit(self, X, y=None):
                    self.mean_ = X.mean(axis=0)
                    return self
                def transform(self, X): return X - self.mean_ + self.by
            """,
            "shift = Shift(); pipe = Pipeline([('shift', shift), ('fit', Ridge())]).fit(X, target)",
            "first = pipe.predict(X)",
        ),
        mutate=(
            "shift.by = 5.0; pipe.set_params(fit__alpha=3.0)",
            "pipe.fit(X * 2, target); second = pipe.predict(X)",
        ),
        before="""
            assert pipe['shift'] is shift and type(shift) is Shift and shift.by == 1
            assert close(pipe.predict(X), first)
        """,
        after="""
            assert pipe['shift'] is shift and shift.by == 5 and close(pipe.predict(X), second)
            assert not close(first, second)
        """,
        needs=("sklearn",),
    ),
)

BOOSTING_CASES = (
    Case(
        "lightgbm.basic.Dataset",
        make=(
            DATA,
            "import lightgbm as lgb",
            "data = lgb.Dataset(X, target, free_raw_data=False, params={'verbose': -1}).construct()",
        ),
        mutate=("data.set_weight(np.arange(60.0))", "data.set_label(target * 2)"),
        before="""
            assert data.get_data() is X and data.get_weight() is None
            assert close(data.get_label(), target.astype('f4'))
        """,
        after="assert data.get_data() is X and data.get_weight()[59] == 59 and data.num_data() == 60",
        needs=("lightgbm", "numpy"),
    ),
    model(
        "lightgbm.Booster, boosted further in place",
        "import lightgbm as lgb\n"
        "params = {'objective': 'regression', 'verbose': -1, 'min_data_in_leaf': 5, 'num_threads': 1}\n"
        "model = lgb.train(params, lgb.Dataset(X, target), 5)",
        """
            model = lgb.train(params, lgb.Dataset(X, target), 5, init_model=model)
            model.params['note'] = 'more'
        """,
        "model.predict(X)",
        before="assert 'note' not in model.params and model.num_trees() == 5",
        after="assert model.params['note'] == 'more' and model.num_trees() == 10",
        needs=("lightgbm",),
    ),
    model(
        "lightgbm.LGBMClassifier",
        """
            import lightgbm as lgb
            model = lgb.LGBMClassifier(n_estimators=4, min_child_samples=5, verbose=-1, n_jobs=1).fit(X, y)
        """,
        "model.set_params(n_estimators=8).fit(X, 1 - y)",
        "model.predict_proba(X)[:, 1]",
        needs=("lightgbm",),
    ),
    Case(
        "xgboost.DMatrix",
        make=(DATA, "import xgboost as xgb", "data = xgb.DMatrix(X, target)"),
        mutate=("data.set_weight(np.arange(60.0))", "data.feature_names = list('abcd')"),
        before="""
            assert data.num_row() == 60 and data.get_weight().size == 0 and data.feature_names is None
            assert close(data.get_label(), target.astype('f4'))
        """,
        after="""
            assert data.get_weight()[59] == 59 and data.feature_names == list('abcd')
            assert data.get_data().shape == (60, 4)
        """,
        needs=("xgboost", "numpy"),
    ),
    model(
        "xgboost.Booster, boosted further in place",
        """
            import xgboost as xgb
            params = {'max_depth': 2, 'nthread': 1}
            model = xgb.train(params, xgb.DMatrix(X, target), 4)
        """,
        "model.update(xgb.DMatrix(X, target), 4); model.set_attr(note='more')",
        "model.inplace_predict(X)",
        before="assert model.attr('note') is None and model.num_boosted_rounds() == 4",
        after="assert model.attr('note') == 'more' and model.num_boosted_rounds() == 5",
        needs=("xgboost",),
    ),
    model(
        "xgboost.XGBRegressor",
        "import xgboost as xgb\nmodel = xgb.XGBRegressor(n_estimators=4, n_jobs=1).fit(X, target)",
        "model.set_params(n_estimators=6, max_depth=2).fit(X, -target)",
        "model.predict(X)",
        needs=("xgboost",),
    ),
    model(
        "catboost.CatBoostRegressor",
        """
            from catboost import CatBoostRegressor
            model = CatBoostRegressor(iterations=5, silent=True, thread_count=1, allow_writing_files=False)
            model.fit(X, target)
        """,
        "model.shrink(2); model.set_scale_and_bias(2.0, 1.0)",
        "model.predict(X)",
        before="assert model.tree_count_ == 5",
        after="assert model.tree_count_ == 2",
        needs=("catboost",),
    ),
)

STUDY_CASES = (
    Case(
        "optuna.Study",
        make=(
            """
                import optuna
                optuna.logging.disable_propagation()
                optuna.logging.set_verbosity(optuna.logging.ERROR)
            """,
            "study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))",
            "def objective(trial): return (trial.suggest_float('x', -5, 5) - 1) ** 2",
            "study.optimize(objective, n_trials=12)",
            "first = study.best_value",
        ),
        mutate=(
            "study.optimize(objective, n_trials=3)",
            """
                study.set_user_attr('by', 'me')
                study.enqueue_trial({'x': 1.0})
                study.optimize(objective, n_trials=1)
            """,
        ),
        before="assert len(study.trials) == 12 and study.best_value == first > 0 and not study.user_attrs",
        after="assert len(study.trials) == 16 and study.best_value == 0 and study.user_attrs == {'by': 'me'}",
        needs=("optuna",),
    ),
    Case(
        "statsmodels.api",
        make=(
            "import numpy as np, statsmodels.api as sm",
            "X = sm.add_constant(np.arange(20.0)); y = 3 + 2 * np.arange(20.0) + np.sin(np.arange(20.0))",
            "model = sm.OLS(y, X); fit = model.fit()",
        ),
        mutate=("y[0] = 100; fit = sm.OLS(y, X).fit()", "fit.params[1] = 50"),
        before="""
            assert abs(fit.params[1] - 2) < 0.05 and fit.model is model and fit.rsquared > 0.99
            assert model.endog[0] == 3
        """,
        after="""
            assert fit.params[1] == 50 and fit.rsquared < 0.99
            assert round(fit.predict(X)[1] - fit.predict(X)[0], 6) == 50
        """,
        needs=("statsmodels",),
    ),
    Case(
        "prophet.Prophet",
        make=(
            """
                import logging
                logging.getLogger('cmdstanpy').disabled = True
                logging.getLogger('prophet').disabled = True
            """,
            "import numpy as np, pandas as pd",
            "from prophet import Prophet",
            "days = pd.DataFrame({'ds': pd.date_range('2026-01-01', periods=60), 'y': np.arange(60.0)})",
            """
                model = Prophet(yearly_seasonality=False, daily_seasonality=False, uncertainty_samples=0)
                shown = model.fit(days, seed=1)
            """,
            "first = model.predict(days).yhat.to_numpy()",
        ),
        mutate=(
            "model.params['k'] = model.params['k'] * 2",
            "model.holidays_prior_scale = 5.0",
            "second = model.predict(days).yhat.to_numpy()",
        ),
        before="assert np.allclose(model.predict(days).yhat, first) and model.holidays_prior_scale == 10",
        after="""
            assert np.allclose(model.predict(days).yhat, second) and not np.allclose(first, second)
            assert model.holidays_prior_scale == 5
        """,
        needs=("prophet",),
        seconds=180,
    ),
    Case(
        "gym.Env that a notebook defines, with its spaces",
        make=(
            "import warnings; warnings.simplefilter('ignore')",
            "import gym, numpy as np",
            """
            class Walk(gym.Env):
                action_space = gym.spaces.Discrete(2)
                observation_space = gym.spaces.Box(-10, 10, (1,))
                def reset(self, seed=None, options=None):
                    super().reset(seed=seed)
                    self.at = 0
                    return self.at, {}
                def step(self, action):
                    self.at += (1 if action else -1) * int(self.np_random.integers(1, 4))
                    return self.at, 0.0, False, False, {}
            """,
            "env = Walk(); seen = [env.reset(seed=4)[0]]",
        ),
        mutate=("seen += [env.step(1)[0] for _ in range(3)]",),
        before="""
            assert env.at == 0 and seen == [0] and type(env) is Walk
            assert env.observation_space.contains(np.zeros(1, 'f4'))
        """,
        after="""
            twin = Walk(); steps = [twin.reset(seed=4)[0]] + [twin.step(1)[0] for _ in range(3)]
            assert seen == steps and env.at == seen[-1]
        """,
        needs=("gym",),
    ),
)

BRIEF = (
    "sklearn.cluster.KMeans",
    "sklearn.feature_extraction.text",
    "sklearn.ensemble.RandomForestClassifier that only predicts",
    "sklearn.linear_model.SGDClassifier, trained on",
    "sklearn.neighbors, a tree behind a classifier",
    "sklearn.pipeline, whose steps have names of their own",
    "sklearn estimator of the notebook, in a pipeline",
)
"""What runs without `-m long`: a model of each kind"""

CASES = tuple(
    replace(case, long=case.name not in BRIEF) for case in (*SKLEARN_CASES, *BOOSTING_CASES, *STUDY_CASES)
)
