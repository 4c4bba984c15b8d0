"""The libraries that this folder has cases for, and the classes that a study of peers listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Library:
    """One library.

    Args:
        requirement: as it stands in the extra, and as pip takes it.
        module: what is imported.
        extra: of this project; "test" for what the tests install anyway; "" where nothing installs it.
        why_not: why it is in no extra.
    """

    requirement: str
    module: str
    extra: str
    why_not: str = ""


LIBRARIES = (
    Library("dill", "dill", "test"),
    Library("duckdb", "duckdb", "test"),
    Library("numpy", "numpy", "test"),
    Library("pandas", "pandas", "test"),
    Library("pyarrow", "pyarrow", "test"),
    Library("scikit-learn", "sklearn", "test"),
    Library("scipy", "scipy", "test"),
    Library("dask[array,dataframe]", "dask", "libraries-data"),
    Library("geopandas", "geopandas", "libraries-data"),
    Library("networkx", "networkx", "libraries-data"),
    Library("polars", "polars", "libraries-data"),
    Library("pyspark", "pyspark", "libraries-data"),
    Library("shapely", "shapely", "libraries-data"),
    Library("xarray", "xarray", "libraries-data"),
    Library("bokeh", "bokeh", "libraries-plot"),
    Library("matplotlib", "matplotlib", "libraries-plot"),
    Library("opencv-python-headless", "cv2", "libraries-plot"),
    Library("pillow", "PIL", "libraries-plot"),
    Library("plotly", "plotly", "libraries-plot"),
    Library("scikit-image", "skimage", "libraries-plot"),
    Library("seaborn", "seaborn", "libraries-plot"),
    Library("wordcloud", "wordcloud", "libraries-plot"),
    Library("catboost", "catboost", "libraries-ml"),
    Library("gym", "gym", "libraries-ml"),
    Library("lightgbm", "lightgbm", "libraries-ml"),
    Library("optuna", "optuna", "libraries-ml"),
    Library("prophet", "prophet", "libraries-ml"),
    Library("statsmodels", "statsmodels", "libraries-ml"),
    Library("xgboost-cpu", "xgboost", "libraries-ml"),
    Library("jax", "jax", "libraries-deep"),
    Library("keras", "keras", "libraries-deep"),
    Library("optax", "optax", "libraries-deep"),
    Library("tensorflow", "tensorflow", "libraries-deep"),
    Library("torch", "torch", "libraries-deep"),
    Library("transformers", "transformers", "libraries-deep"),
    Library("astropy", "astropy", "libraries-science"),
    Library("lmfit", "lmfit", "libraries-science"),
    Library("photutils", "photutils", "libraries-science"),
    Library("qiskit", "qiskit", "libraries-science"),
    Library("sympy", "sympy", "libraries-science"),
    Library("gensim", "gensim", "libraries-text"),
    Library("llm", "llm", "libraries-text"),
    Library("nltk", "nltk", "libraries-text"),
    Library("textblob", "textblob", "libraries-text"),
    Library("tokenizers", "tokenizers", "libraries-text"),
    Library("arrow", "arrow", "libraries-other"),
    Library("ipywidgets", "ipywidgets", "libraries-other"),
    Library(
        "dataprep",
        "dataprep",
        "",
        why_not="it needs python-crfsuite 0.9.8, which does not compile for Python 3.11 and later",
    ),
)

CLASSES = tuple(
    """
    arrow.arrow.Arrow

    astropy.io.fits.HDUList astropy.io.fits.PrimaryHDU
    astropy.modeling.functional_models.Linear1D astropy.modeling.functional_models.Ellipse2D
    astropy.modeling.fitting.LinearLSQFitter
    astropy.modeling.polynomial.Polynomial1D astropy.modeling.polynomial.Polynomial2D
    astropy.nddata.NDData astropy.nddata.NDDataRef astropy.stats.SigmaClip astropy.table.QTable
    astropy.units.Quantity astropy.visualization.PercentileInterval
    astropy.visualization.mpl_normalize.ImageNormalize astropy.wcs.WCS astropy.wcs.Celprm
    astropy.convolution.Box2DKernel astropy.convolution.Gaussian2DKernel

    bokeh.plotting._figure.figure bokeh.models.renderers.glyph_renderer.GlyphRenderer
    catboost dask dataprep.datasets dataprep.eda.intermediate.Intermediate dill gensim gym ipywidgets

    keras.src.layers.core.dense.Dense keras.src.initializers.initializers.RandomNormal
    keras.src.initializers.initializers.RandomUniform keras.src.optimizers.adam.Adam
    keras.src.optimizers.schedules.learning_rate_schedule.ExponentialDecay

    lightgbm.basic.Dataset llm.default_plugins.openai_models.Chat lmfit.parameter.Parameters

    matplotlib.Axes matplotlib.Axes matplotlib.colors.ListedColormap matplotlib.colors.BoundaryNorm
    matplotlib.dates.WeekdayLocator matplotlib.dates.AutoDateFormatter matplotlib.lines.Line2D
    matplotlib.patches.Ellipse matplotlib.patches.Arrow matplotlib.image.AxesImage
    matplotlib.image.FigureImage matplotlib.offsetbox.AnchoredOffsetbox matplotlib.ticker.AutoLocator
    mpl_toolkits.mplot3d.art3d.Line3DCollection

    networkx.Graph networkx.DiGraph nltk.stem.porter.PorterStemmer

    numpy.ndarray numpy.ndarray pickle json itertools hashlib copy ast dataclasses uuid.UUID
    urllib.request.Request datetime.timedelta datetime.time random.Random re.Pattern

    cv2 optuna.Study pandas.Series pandas.DataFrame pathlib.PosixPath

    photutils.utils.CutoutImage photutils.utils.ImageDepth photutils.psf.matching.HanningWindow
    photutils.psf.matching.CosineBellWindow

    plotly.express plotly.graph_objects plotly.figure_factory plotly.graph_objs plotly.io plotly.offline
    plotly.subplots

    polars.DataFrame polars.LazyFrame prophet.Prophet pyspark.sql qiskit.QuantumCircuit skimage
    skimage.morphology

    sklearn.cluster sklearn.cluster sklearn.compose sklearn.datasets sklearn.datasets sklearn.decomposition
    sklearn.discriminant_analysis sklearn.dummy sklearn.ensemble sklearn.feature_extraction.text
    sklearn.feature_selection sklearn.impute sklearn.impute sklearn.impute sklearn.kernel_ridge
    sklearn.linear_model sklearn.linear_model sklearn.manifold sklearn.metrics sklearn.metrics.pairwise
    sklearn.mixture sklearn.model_selection sklearn.multiclass sklearn.naive_bayes sklearn.neighbors
    sklearn.neural_network sklearn.pipeline sklearn.preprocessing sklearn.random_projection sklearn.svm
    sklearn.tree sklearn.utils

    scipy.sparse scipy.spatial scipy.spatial scipy.interpolate scipy.ndimage scipy.ndimage.interpolate
    scipy.optimize scipy.signal scipy.signal.windows scipy.spatial.distance._hausdorff scipy.spatial.distance
    scipy.special scipy.stats

    seaborn statsmodels.api tensorflow tensorflow.keras.models tensorflow.keras.optimizers textblob.TextBlob
    tokenizers torch torch.nn torch.nn.functional torch.optim torch.utils.data transformers huggingface typing
    wordcloud.WordCloud
""".split()  # noqa: SIM905 - 153 lines for as many words
)
"""What Kishu's coverage study made and changed, as classes or as the modules that they were taken from."""
