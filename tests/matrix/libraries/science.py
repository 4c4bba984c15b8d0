"""Fits, coordinates, spectra, symbols and circuits."""

from __future__ import annotations

from dataclasses import replace

from case import Case

NUMPY = "import numpy as np"

SCIPY_CASES = (
    Case(
        "scipy.sparse, changed in place",
        make=(
            "import numpy as np, scipy.sparse as sp",
            """
                m = sp.csr_array(np.array([[0, 1.0], [2.0, 0]]))
                d = sp.dok_array((3, 3))
                l = sp.lil_array((2, 2))
            """,
            "held = m.data",
        ),
        mutate=("held *= 10", "d[1, 2] = 5; l[0, 0] = 1"),
        before="""
            assert m.toarray().tolist() == [[0, 1], [2, 0]] and m.data is held and d.nnz == 0
            assert l.nnz == 0
        """,
        after="""
            assert m.toarray().tolist() == [[0, 10], [20, 0]] and m.data is held and d[1, 2] == 5
            assert l.nnz == 1
        """,
        needs=("scipy",),
    ),
    Case(
        "scipy.spatial.KDTree",
        make=(
            "import numpy as np; from scipy.spatial import KDTree",
            "points = np.array([[0.0, 0], [1, 1], [5, 5]])",
            "tree = KDTree(points)",
        ),
        mutate=("points += 10; tree = KDTree(points)",),
        before="assert tree.query([5, 4])[1] == 2 and tree.n == 3",
        after="assert tree.query([9, 9])[1] == 0 and tree.data.tolist() == points.tolist()",
        needs=("scipy",),
    ),
    Case(
        "scipy.spatial.Delaunay, hulls and rotations",
        make=(
            """
                import numpy as np
                from scipy.spatial import ConvexHull, Delaunay
                from scipy.spatial.transform import Rotation
            """,
            "corners = np.array([[0, 0], [4, 0], [4, 4], [0, 4.0]])",
            "mesh = Delaunay(corners); turn = Rotation.from_euler('z', 90, degrees=True)",
            "area = ConvexHull(corners).volume",
        ),
        mutate=("mesh = Delaunay(np.vstack([corners, [[2, 2]]]))", "turn = turn * turn"),
        before="""
            assert len(mesh.simplices) == 2 and mesh.find_simplex([9, 9]) == -1
            assert turn.apply([1, 0, 0]).round(6).tolist() == [0, 1, 0]
        """,
        after="""
            assert len(mesh.simplices) == 4 and turn.apply([1, 0, 0]).round(6).tolist() == [-1, 0, 0]
            assert area == 16
        """,
        needs=("scipy",),
    ),
    Case(
        "scipy.interpolate",
        make=(
            """
                import numpy as np
                from scipy.interpolate import CubicSpline, RegularGridInterpolator, make_interp_spline
            """,
            """
                s = CubicSpline([0, 1, 2, 3], [0, 1, 8, 27])
                b = make_interp_spline([0, 1, 2, 3], [0, 1, 4, 9])
            """,
            "g = RegularGridInterpolator(([0, 1], [0, 1]), np.eye(2))",
        ),
        mutate=("s.c[3] += 100", "b.c[:] = 7", "g.values[:] = 3"),
        before="assert s(2) == 8 and round(float(b(2)), 9) == 4 and g([[0.5, 0.5]])[0] == 0.5",
        after="assert s(2) == 108 and b(2) == 7 and g([[0.5, 0.5]])[0] == 3",
        needs=("scipy",),
    ),
    Case(
        "scipy.ndimage over an array of the user's",
        make=("import numpy as np; from scipy import ndimage", "im = np.zeros((5, 5)); im[2, 2] = 1"),
        mutate=("ndimage.uniform_filter(im, 3, output=im)",),
        before="assert im.sum() == 1 and im[2, 2] == 1",
        after="assert round(im[1, 1], 9) == round(1 / 9, 9) and ndimage.center_of_mass(im) == (2, 2)",
        needs=("scipy",),
    ),
    Case(
        "scipy.ndimage.interpolate: a zoomed and labelled picture",
        make=(
            "import numpy as np; from scipy import ndimage",
            "im = np.arange(16.0).reshape(4, 4)",
            "labels, n = ndimage.label(im > 7)",
        ),
        mutate=("ndimage.shift(im.copy(), 1, output=im, order=1)", "labels[labels == 1] = 9"),
        before="assert im[3, 3] == 15 and n == 1 and labels.max() == 1",
        after="assert im[0].tolist() == [0] * 4 and im[1, 1] == 0 and im[3, 3] == 10 and labels.max() == 9",
        needs=("scipy",),
    ),
    Case(
        "scipy.optimize results",
        make=(
            "from scipy.optimize import OptimizeResult, minimize, LinearConstraint",
            "r = minimize(lambda v: (v[0] - 3) ** 2, [0.0])",
            "limit = LinearConstraint([[1.0]], 0, 1)",
        ),
        mutate=("r.x[0] = 50; r['note'] = ['mine']", "limit.ub = 9"),
        before="assert abs(r.x[0] - 3) < 1e-4 and r.success and 'note' not in r and limit.ub == 1",
        after="assert r.x[0] == 50 and r.note == ['mine'] and type(r) is OptimizeResult and limit.ub == 9",
        needs=("scipy",),
    ),
    Case(
        "scipy.signal filters",
        make=(
            "import numpy as np; from scipy import signal",
            "system = signal.TransferFunction([1.0], [1.0, 2.0]); zi = signal.lfilter_zi([1.0], [1.0, 0.5])",
            "win = signal.ShortTimeFFT(np.ones(8), 4, 100)",
        ),
        mutate=(
            "system.den = [1.0, 5.0]",
            "out, zi = signal.lfilter([1.0], [1.0, 0.5], np.ones(3), zi=zi * 0)",
            "win.fs = 200",
        ),
        before="""
            assert system.den.tolist() == [1, 2] and system.to_zpk().poles.tolist() == [-2]
            assert round(float(zi[0]), 9) == round(-1 / 3, 9) and win.fs == 100
        """,
        after="""
            assert system.to_zpk().poles.tolist() == [-5] and out.tolist() == [1, 0.5, 0.75]
            assert zi.tolist() == [-0.375] and win.fs == 200
        """,
        needs=("scipy",),
    ),
    Case(
        "scipy.signal.windows",
        make=("from scipy.signal import windows", "w = windows.hann(5)"),
        mutate=("w *= 2",),
        before="assert w.round(6).tolist() == [0, 0.5, 1, 0.5, 0]",
        after="assert w.round(6).tolist() == [0, 1, 2, 1, 0]",
        needs=("scipy",),
    ),
    Case(
        "scipy.spatial.distance._hausdorff and scipy.spatial.distance matrices",
        make=(
            "import numpy as np; from scipy.spatial import distance",
            "p = np.array([[0.0, 0], [3, 4]]); d = distance.squareform(distance.pdist(p))",
        ),
        mutate=("p[1] = 0; d[:] = distance.cdist(p, p)",),
        before="assert d[0, 1] == 5 and distance.directed_hausdorff(p, p[:1])[0] == 5",
        after="assert not d.any() and distance.directed_hausdorff(p, p[:1])[0] == 0",
        needs=("scipy",),
    ),
    Case(
        "scipy.special ufuncs and polynomials",
        make=(
            "import numpy as np; from scipy import special",
            "p = special.legendre(2); f = special.gamma; out = np.zeros(3)",
        ),
        mutate=("shown = special.expit(np.zeros(3), out=out)", "p.note = 'mine'"),
        before="""
            assert p(1.0).round(9) == 1 and f(5) == 24 and f is special.gamma and not out.any()
            assert not hasattr(p, 'note')
        """,
        after="assert out.tolist() == [0.5] * 3 and shown is out and p.note == 'mine'",
        needs=("scipy",),
    ),
    Case(
        "scipy.stats distributions, frozen and fitted",
        make=(
            "import numpy as np; from scipy import stats",
            """
                n = stats.norm(2, 3)
                kde = stats.gaussian_kde([1.0, 2, 3])
                n.random_state = np.random.default_rng(1)
            """,
            "q = stats.qmc.Sobol(2, scramble=False)",
        ),
        mutate=("drawn = n.rvs(); kde.set_bandwidth(5.0)", "points = q.random(2)"),
        before="assert n.mean() == 2 and n.cdf(2) == 0.5 and kde(2)[0] > 0.3 and q.num_generated == 0",
        after="""
            assert drawn == stats.norm(2, 3).rvs(random_state=np.random.default_rng(1)) and kde(2)[0] < 0.1
            assert points.tolist() == [[0, 0], [0.5, 0.5]] and q.num_generated == 2
        """,
        needs=("scipy",),
    ),
    Case(
        "scipy.integrate steps that go on",
        make=(
            "import numpy as np; from scipy.integrate import RK45",
            "def slope(t, v): return -v",
            "solver = RK45(slope, 0, [1.0], 10)",
            "solver.step()",
        ),
        mutate=("solver.step(); solver.step()",),
        before="assert 0 < solver.t < 1 and solver.nfev == 8 and abs(solver.y[0] - np.exp(-solver.t)) < 1e-3",
        after="assert solver.nfev == 20 and abs(solver.y[0] - np.exp(-solver.t)) < 1e-2",
        needs=("scipy",),
    ),
)

ASTROPY_CASES = (
    Case(
        "astropy.io.fits.HDUList",
        make=(
            "import numpy as np; from astropy.io import fits",
            "first = fits.PrimaryHDU(np.zeros((2, 2))); hdus = fits.HDUList([first])",
        ),
        mutate=(
            "hdus[0].header['OBJECT'] = 'M31'",
            "hdus.append(fits.ImageHDU(np.ones(3), name='more')); first.data[0, 0] = 9",
        ),
        before="""
            assert len(hdus) == 1 and hdus[0] is first and 'OBJECT' not in first.header
            assert not first.data.any()
        """,
        after="""
            assert hdus['more'].data.sum() == 3 and hdus[0] is first and first.header['OBJECT'] == 'M31'
            assert first.data[0, 0] == 9
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.io.fits.PrimaryHDU over an array",
        make=(
            "import numpy as np; from astropy.io import fits",
            "a = np.zeros((2, 2)); hdu = fits.PrimaryHDU(a); header = hdu.header",
        ),
        mutate=("a[1, 1] = 4", "header['EXPTIME'] = (30.0, 'seconds'); header.add_history('made')"),
        before="""
            assert hdu.header is header and 'EXPTIME' not in header and np.shares_memory(hdu.data, a)
            assert not a.any()
        """,
        after="""
            assert hdu.data[1, 1] == 4 and header.comments['EXPTIME'] == 'seconds' and hdu.header is header
            assert np.shares_memory(hdu.data, a)
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.modeling.functional_models.Linear1D",
        make=(
            "from astropy.modeling.functional_models import Linear1D",
            "m = Linear1D(2, 1); slope = m.slope",
        ),
        mutate=("m.slope = 5", "m.intercept.fixed = True; m.slope.bounds = (0, 9)"),
        before="assert m(3) == 7 and not m.fixed['intercept'] and m.slope is slope",
        after="""
            assert m(3) == 16 and m.fixed['intercept'] and m.bounds['slope'] == (0, 9) and m.slope is slope
            assert slope.value == 5
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.modeling.functional_models.Ellipse2D, in a compound model",
        make=(
            "from astropy.modeling.functional_models import Const2D, Ellipse2D",
            "e = Ellipse2D(1, 0, 0, 3, 2, 0); both = e + Const2D(10)",
        ),
        mutate=("e.amplitude = 4", "both.amplitude_1 = 100"),
        before="assert e(0, 0) == 1 and both(9, 9) == 10 and both.left is e",
        after="assert e(0, 0) == 4 and both(9, 9) == 100 and both.left is e",
        needs=("astropy",),
    ),
    Case(
        "astropy.modeling.fitting.LinearLSQFitter",
        make=(
            "import numpy as np; from astropy.modeling import fitting, models",
            "fitter = fitting.LinearLSQFitter()",
            "line = fitter(models.Linear1D(), np.arange(5.0), 2 * np.arange(5.0))",
        ),
        mutate=("line = fitter(line, np.arange(5.0), 3 + np.arange(5.0) ** 2)", "fitter.note = 'used'"),
        before="""
            assert round(line.slope.value, 9) == 2 and fitter.fit_info['rank'] == 2
            assert not hasattr(fitter, 'note')
        """,
        after="""
            assert round(line.slope.value, 9) == 4 and fitter.fit_info['residuals'][0] > 1
            assert fitter.note == 'used'
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.modeling.polynomial.Polynomial1D",
        make=(
            "from astropy.modeling.polynomial import Polynomial1D",
            "p = Polynomial1D(2, c0=1, c1=2, c2=3)",
        ),
        mutate=("p.c0 = 100", "p.parameters[2] = 0; p.domain = [-5, 5]"),
        before="assert p(2) == 17 and p.parameters.tolist() == [1, 2, 3]",
        after="assert p.c0 == 100 and list(p.domain) == [-5, 5] and p.degree == 2",
        needs=("astropy",),
    ),
    Case(
        "astropy.modeling.polynomial.Polynomial2D",
        make=(
            "from astropy.modeling.polynomial import Polynomial2D",
            "p = Polynomial2D(1, c0_0=1, c1_0=2, c0_1=3)",
        ),
        mutate=("p.c1_0 = 20; p.c0_1.tied = lambda model: 2 * model.c0_0",),
        before="assert p(1, 1) == 6 and not p.tied['c0_1']",
        after="assert p(1, 1) == 24 and p.tied['c0_1'](p) == 2",
        needs=("astropy",),
    ),
    Case(
        "astropy.nddata.NDData",
        make=(
            "import numpy as np; from astropy.nddata import NDData, StdDevUncertainty",
            """
                a = np.zeros(3)
                n = NDData(a, uncertainty=StdDevUncertainty(np.ones(3)), meta={'k': 1}, unit='K')
            """,
        ),
        mutate=(
            "a[0] = 5; n.meta['k'] = 2",
            "n.uncertainty.array[1] = 9; n.mask = np.array([True, False, False])",
        ),
        before="""
            assert n.data.tolist() == [0, 0, 0] and np.shares_memory(a, n.data) and n.meta == {'k': 1}
            assert n.mask is None and n.uncertainty.parent_nddata is n
        """,
        after="""
            assert n.data[0] == 5 and np.shares_memory(a, n.data) and n.meta == {'k': 2} and n.mask[0]
            assert n.uncertainty.array[1] == 9 and n.uncertainty.parent_nddata is n
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.nddata.NDDataRef",
        make=(
            "import numpy as np; from astropy.nddata import NDDataRef",
            "n = NDDataRef(np.arange(4.0)); part = n[1:3]",
        ),
        mutate=("n.data[1] = 50", "n.meta['by'] = 'me'"),
        before="assert part.data.tolist() == [1, 2] and np.shares_memory(n.data, part.data)",
        after="""
            assert part.data.tolist() == [50, 2] and np.shares_memory(n.data, part.data)
            assert n.add(n).data[1] == 100 and n.meta == {'by': 'me'}
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.stats.SigmaClip",
        make=(
            "import numpy as np; from astropy.stats import SigmaClip",
            "clip = SigmaClip(sigma=2)",
            "v = np.r_[np.zeros(50), np.ones(5), 9.0]",
        ),
        mutate=("clip.sigma_lower = clip.sigma_upper = 99",),
        before="assert clip(v).mask.sum() >= 1",
        after="assert clip(v).mask.sum() == 0",
        needs=("astropy",),
    ),
    Case(
        "astropy.table.QTable",
        make=(
            "import astropy.units as u, numpy as np; from astropy.table import QTable",
            "t = QTable({'a': [1, 2], 'v': [1.0, 2.0] * u.m}); t.meta['k'] = [1]",
        ),
        mutate=(
            "t['v'][0] = 5 * u.km",
            "t.add_row([3, 7 * u.m]); t['b'] = ['x', 'y', 'z']; t.meta['k'].append(2)",
            "t.sort('v')",
        ),
        before="""
            assert t.pformat()[0].split() == t.colnames == ['a', 'v'] and t['v'].unit == u.m
            assert t['v'].value.tolist() == [1, 2]
            assert t.meta == {'k': [1]}
        """,
        after="""
            assert t['v'].value.tolist() == [2, 7, 5000] and t['b'].tolist() == ['y', 'z', 'x']
            assert t.meta == {'k': [1, 2]}
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.table.QTable, a column held by a name",
        make=("from astropy.table import Table", "t = Table({'a': [1, 2]}); column = t['a']"),
        mutate=("column[0] = 50",),
        before="assert t['a'] is column and t['a'].tolist() == [1, 2]",
        after="assert t['a'] is column and t['a'].tolist() == [50, 2]",
        needs=("astropy",),
    ),
    Case(
        "astropy.units.Quantity and its view",
        make=(
            "import astropy.units as u, numpy as np",
            "q = np.arange(3.0) * u.m; view = q[1:]",
            "own = u.def_unit('smoot', 1.7018 * u.m)",
        ),
        mutate=("q[1] = 5 * u.km", "view[1] = 0 * u.m; q.info.description = 'far'"),
        before="""
            assert q.value.tolist() == [0, 1, 2] and q.unit is u.m and np.shares_memory(q, view)
            assert (1 * own).to_value(u.m) == 1.7018
        """,
        after="""
            assert q.value.tolist() == [0, 5000, 0] and view.value.tolist() == [5000, 0]
            assert np.shares_memory(q, view) and q.info.description == 'far'
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.visualization.PercentileInterval",
        make=(
            "import numpy as np; from astropy.visualization import PercentileInterval",
            "p = PercentileInterval(50)",
        ),
        mutate=("p.upper_percentile = 100", "p.lower_percentile = 0"),
        before="assert list(p.get_limits(np.arange(101))) == [25, 75]",
        after="assert list(p.get_limits(np.arange(101))) == [0, 100]",
        needs=("astropy",),
    ),
    Case(
        "astropy.visualization.mpl_normalize.ImageNormalize",
        make=(
            "import numpy as np; from astropy.visualization import ImageNormalize, SqrtStretch",
            "norm = ImageNormalize(vmin=0, vmax=4, stretch=SqrtStretch())",
        ),
        mutate=("norm.vmax = 16", "norm.clip = False"),
        before="assert norm(1.0) == 0.5 and norm.vmax == 4",
        after="assert norm(1.0) == 0.25 and norm.vmax == 16 and type(norm.stretch) is SqrtStretch",
        needs=("astropy", "matplotlib"),
    ),
    Case(
        "astropy.wcs.WCS",
        make=(
            "from astropy.wcs import WCS",
            "w = WCS(naxis=2); w.wcs.crpix = [1, 1]; w.wcs.cdelt = [2, 2]; w.wcs.crval = [0, 0]",
        ),
        mutate=("w.wcs.crval = [10, 20]", "w.wcs.cdelt[0] = 5; w.wcs.set()"),
        before="""
            assert [float(v) for v in w.pixel_to_world_values(1, 1)] == [2, 2]
            assert w.wcs.crval.tolist() == [0, 0]
        """,
        after="""
            assert [float(v) for v in w.pixel_to_world_values(1, 1)] == [15, 22]
            assert w.wcs.crval.tolist() == [10, 20]
        """,
        needs=("astropy",),
    ),
    Case(
        "astropy.wcs.Celprm, which is a part of its WCS",
        make=(
            "from astropy.wcs import WCS",
            "w = WCS(naxis=2); w.wcs.ctype = ['RA---TAN', 'DEC--TAN']; w.wcs.crval = [5, 6]; w.wcs.set()",
            "cel = w.wcs.cel",
        ),
        mutate=("w.wcs.crval = [7, 8]; w.wcs.set()",),
        before="assert w.wcs.cel.ref.tolist()[:2] == [5, 6]",
        after="assert w.wcs.cel.ref.tolist()[:2] == [7, 8]",
        reported=("cel",),
        needs=("astropy",),
    ),
    Case(
        "astropy.convolution.Box2DKernel",
        make=(
            "import numpy as np; from astropy.convolution import Box2DKernel, convolve",
            "k = Box2DKernel(3)",
        ),
        mutate=("k.normalize('peak')", "k._array[0, 0] = 5"),
        before="assert k.array.sum().round(9) == 1 and k.shape == (3, 3)",
        after="assert k.array[0, 0] == 5 and k.array.max() == 5 and k.array[1, 1] == 1",
        needs=("astropy",),
    ),
    Case(
        "astropy.convolution.Gaussian2DKernel",
        make=(
            "import numpy as np; from astropy.convolution import Gaussian2DKernel",
            "k = Gaussian2DKernel(1.0)",
            "peak = k.array.max()",
        ),
        mutate=("k.normalize('peak')", "k.model.amplitude = 7"),
        before="assert k.array.max() == peak < 0.2 and k.center == [4, 4]",
        after="assert k.array.max() == 1 and k.model.amplitude == 7",
        needs=("astropy",),
    ),
    Case(
        "astropy times and places",
        make=(
            """
                import astropy.units as u
                from astropy.time import Time
                from astropy.coordinates import SkyCoord
            """,
            "t = Time(['2026-01-01', '2026-01-02']); c = SkyCoord([1, 2] * u.deg, [3, 4] * u.deg)",
        ),
        mutate=("t[0] = '2027-01-01'", "c[1] = SkyCoord(50 * u.deg, 60 * u.deg); t.format = 'jd'"),
        before="""
            assert t.isot[0] == '2026-01-01T00:00:00.000' and t.format == 'iso'
            assert c.ra.deg.tolist() == [1, 2]
        """,
        after="""
            assert t.isot[0] == '2027-01-01T00:00:00.000' and t.format == 'jd'
            assert c.dec.deg.round(9).tolist() == [3, 60]
        """,
        needs=("astropy",),
    ),
)

PHOTUTILS_CASES = (
    Case(
        "photutils.utils.CutoutImage",
        make=(
            "import numpy as np; from photutils.utils import CutoutImage",
            "a = np.zeros((9, 9)); cut = CutoutImage(a, (4, 4), (3, 3), copy=False)",
        ),
        mutate=("cut.data[0, 0] = 7",),
        before="assert cut.data.shape == (3, 3) and not a.any() and np.shares_memory(a, cut.data)",
        after="assert a[3, 3] == 7 and np.shares_memory(a, cut.data) and cut.xyorigin.tolist() == [3, 3]",
        needs=("photutils",),
    ),
    Case(
        "photutils.utils.ImageDepth",
        make=(
            "import numpy as np; from photutils.utils import ImageDepth",
            "depth = ImageDepth(2.0, n_sigma=5.0, n_apertures=10, n_iters=1, seed=0, progress_bar=False)",
        ),
        mutate=(
            "limits = depth(np.random.default_rng(1).normal(size=(60, 60)), np.zeros((60, 60), bool))",
            "depth.n_sigma = 1.0",
        ),
        before="assert depth.n_sigma == 5 and depth.aper_radius == 2",
        after="""
            assert depth.n_sigma == 1 and depth.n_apertures_used.sum() > 0
            assert depth.flux_limits[0] == limits[0]
        """,
        needs=("photutils",),
    ),
    Case(
        "photutils.psf.matching.HanningWindow",
        make=("from photutils.psf_matching import HanningWindow", "w = HanningWindow()"),
        mutate=("w.alpha = 0.2",),
        before="assert w.alpha == 1 and (w((25, 25)) == HanningWindow()((25, 25))).all()",
        after="assert w.alpha == 0.2 and w((25, 25)).sum() < HanningWindow()((25, 25)).sum() / 2",
        needs=("photutils",),
    ),
    Case(
        "photutils.psf.matching.CosineBellWindow",
        make=("from photutils.psf_matching import CosineBellWindow", "w = CosineBellWindow(0.9)"),
        mutate=("w.alpha = 0.1; w.note = 'mine'",),
        before="""
            assert w.alpha == 0.9 and (w((25, 25)) == CosineBellWindow(0.9)((25, 25))).all()
            assert 'note' not in vars(w)
        """,
        after="""
            assert w.alpha == 0.1 and (w((25, 25)) == CosineBellWindow(0.1)((25, 25))).all()
            assert w.note == 'mine'
        """,
        needs=("photutils",),
    ),
)

OTHER_CASES = (
    Case(
        "lmfit.parameter.Parameters",
        make=(
            "import lmfit, numpy as np",
            "p = lmfit.Parameters(); _ = p.add('a', value=1.0, min=0); _ = p.add('b', expr='2 * a')",
            "a = p['a']",
        ),
        mutate=("p['a'].value = 5", "p.add('c', value=9.0, vary=False); p['a'].max = 10"),
        before="assert p['a'] is a and p['b'].value == 2 and 'c' not in p and a.max == np.inf",
        after="assert p['a'] is a and p['b'].value == 10 and not p['c'].vary and a.max == 10",
        needs=("lmfit",),
    ),
    Case(
        "lmfit.Model and its fit",
        make=(
            "import lmfit, numpy as np",
            "def line(x, m, c): return m * x + c",
            "model = lmfit.Model(line); x = np.arange(9.0)",
            "fit = model.fit(2 * x + 1, x=x, m=1, c=0)",
        ),
        mutate=("model.set_param_hint('m', min=5)", "fit = model.fit(2 * x + 1, x=x, m=6, c=0)"),
        before="""
            assert round(fit.params['m'].value, 6) == 2 and fit.model.func is line
            assert not model.param_hints
        """,
        after="""
            assert round(fit.params['m'].value, 3) == 5 and model.param_hints == {'m': {'min': 5}}
            assert model.func is line
        """,
        needs=("lmfit",),
    ),
    Case(
        "sympy expressions, matrices and assumptions",
        make=(
            "import sympy as sp",
            "x, n = sp.symbols('x'), sp.symbols('n', integer=True); d = sp.Dummy('d')",
            "e = sp.sin(x) ** 2 + d; M = sp.Matrix([[1, x], [0, 1]]); f = sp.lambdify(x, x ** 2 + 1)",
        ),
        mutate=("M[0, 1] = 50", "e = sp.diff(e, x)"),
        before="""
            assert M[0, 1] == x and M[0, 1] is x and e.has(d) and d in e.free_symbols and n.is_integer
            assert f(3) == 10 and sp.symbols('x') is x
        """,
        after="""
            assert M[0, 1] == 50 and e == 2 * sp.sin(x) * sp.cos(x) and f(3) == 10 and sp.symbols('x') is x
        """,
        needs=("sympy",),
    ),
    Case(
        "sympy functions that are not defined, whose class has no module",
        make=("import sympy as sp", "x = sp.Symbol('x'); F = sp.Function('F'); e = F(x).diff(x); rows = [e]"),
        mutate=("rows.append(e.subs(F, sp.sin).doit())",),
        before="assert e.has(F(x)) and e.diff(x) == F(x).diff(x, 2) and rows == [e]",
        after="assert rows == [F(x).diff(x), sp.cos(x)]",
        needs=("sympy",),
    ),
    Case(
        "sympy objects with notebook classes and plans",
        make=(
            "import sympy as sp",
            """
                class twice(sp.Function):

                    @classmethod
                    def eval(cls, v):
                        return 2 * v if v.is_Number else None
            """,
            "x = sp.Symbol('x'); e = twice(x) + 1; table = {x: [1]}",
        ),
        mutate=("table[x].append(e.subs(x, 3))",),
        before="assert type(e.args[1]) is twice or type(e.args[0]) is twice\nassert table == {x: [1]}",
        after="assert table[sp.Symbol('x')] == [1, 7] and e.subs(x, 5) == 11",
        needs=("sympy",),
    ),
    Case(
        "qiskit.QuantumCircuit",
        make=(
            """
                from qiskit import QuantumCircuit
                from qiskit.circuit import Parameter
                from qiskit.quantum_info import Statevector
            """,
            "theta = Parameter('θ')",
            "qc = QuantumCircuit(2); made = qc.h(0); free = QuantumCircuit(1); made = free.rx(theta, 0)",
        ),
        mutate=("made = qc.cx(0, 1)", "qc.name = 'bell'; free = free.assign_parameters({theta: 3.0})"),
        before="""
            assert qc.count_ops() == {'h': 1} and list(free.parameters) == [theta]
            assert free.parameters[0] == theta
        """,
        after="""
            assert qc.count_ops() == {'h': 1, 'cx': 1} and qc.name == 'bell'
            assert Statevector(qc).probabilities().round(6).tolist() == [0.5, 0, 0, 0.5]
            assert not free.parameters
        """,
        needs=("qiskit",),
    ),
)

CASES = tuple(
    replace(case, long=True) for case in (*SCIPY_CASES, *ASTROPY_CASES, *PHOTUTILS_CASES, *OTHER_CASES)
)
