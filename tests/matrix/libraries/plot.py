"""Figures and pictures: the same artists, and the same pixels where they are drawn."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

from case import Case

MPL = """
import matplotlib; matplotlib.use('agg')
import matplotlib.pyplot as plt, numpy as np
plt.close('all')
def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()
"""


def drawn(
    name: str, make: str, mutate: tuple[str, ...], before: str, after: str, needs: tuple[str, ...] = ()
) -> Case:
    """A figure `fig` that has to draw the same pixels, with what must hold of its artists besides."""
    return Case(
        name,
        make=(MPL, make, "first = pixels(fig)"),
        mutate=(*mutate, "second = pixels(fig)"),
        before=f"{dedent(before)}\nassert (pixels(fig) == first).all()",
        after=f"{dedent(after)}\nassert (pixels(fig) == second).all() and (first != second).any()",
        needs=("matplotlib", *needs),
    )


MATPLOTLIB_CASES = (
    drawn(
        "matplotlib.Axes, made by pyplot",
        "fig, ax = plt.subplots(); ax.plot([1, 2, 3], [1, 4, 9], label='squares')",
        ("ax.set_title('growth')", "ax.set_yscale('log'); ax.legend()"),
        """
            assert fig.axes == [ax] and ax.get_title() == '' and ax.get_yscale() == 'linear'
            assert ax.legend_ is None
        """,
        """
            assert fig.axes == [ax] and ax.get_title() == 'growth'
            assert ax.legend_.texts[0].get_text() == 'squares'
        """,
    ),
    drawn(
        "matplotlib.Axes, several that share an axis",
        """
            fig, axes = plt.subplots(2, 2, sharex=True)
            axes[0, 0].plot([0, 1], [0, 1])
            twin = axes[1, 1].twinx()
        """,
        ("axes[1, 0].set_xlim(-5, 5)", "twin.bar([1, 2], [3, 4]); fig.suptitle('all')"),
        "assert axes[0, 0].get_xlim() == axes[1, 0].get_xlim() and axes[0, 0].get_xlim()[0] > -1",
        """
            assert axes[0, 0].get_xlim() == axes[1, 1].get_xlim() == (-5, 5) and len(twin.patches) == 2
            assert axes[0, 0].figure is fig and fig.axes[0] is axes[0, 0] and fig.axes[-1] is twin
        """,
    ),
    Case(
        "matplotlib figure that pyplot works on",
        make=(MPL, "fig = plt.figure(num='mine')", "lines = plt.plot([1, 2])"),
        mutate=("plt.figure('mine'); plt.xlabel('time')", "lines += plt.plot([2, 1])"),
        before="""
            assert fig.axes[0].get_xlabel() == '' and fig.axes[0].lines[0] is lines[0]
            assert len(fig.axes[0].lines) == 1
        """,
        after="assert fig.axes[0].get_xlabel() == 'time' and fig.axes[0].lines[1] is lines[1]",
        needs=("matplotlib",),
    ),
    Case(
        "matplotlib.colors.ListedColormap",
        make=(MPL, "from matplotlib.colors import ListedColormap", "cm = ListedColormap(['red', 'green'])"),
        mutate=("cm.set_bad('blue')", "cm.name = 'mine'"),
        before="assert cm(0) == (1, 0, 0, 1) and tuple(cm.get_bad()) == (0, 0, 0, 0) and cm.name != 'mine'",
        after="assert cm(0) == (1, 0, 0, 1) and tuple(cm.get_bad()) == (0, 0, 1, 1) and cm.name == 'mine'",
        needs=("matplotlib",),
    ),
    Case(
        "matplotlib.colors.BoundaryNorm",
        make=(
            MPL,
            "from matplotlib.colors import BoundaryNorm",
            "norm = BoundaryNorm([0, 1, 2], 2)",
            "points = plt.scatter([0, 1], [0, 1], c=[0.5, 1.5], norm=norm)",
        ),
        mutate=("norm.boundaries = np.array([0.0, 5.0, 10.0])", "norm.clip = True"),
        before="assert norm(1.5) == 1 and points.norm is norm and not norm.clip",
        after="assert norm(1.5) == 0 and points.norm is norm and norm.clip",
        needs=("matplotlib",),
    ),
    Case(
        "matplotlib.dates.WeekdayLocator",
        make=(
            MPL,
            "import datetime as dt, matplotlib.dates as md",
            "loc = md.WeekdayLocator(byweekday=md.MO)",
            "span = dt.datetime(2026, 1, 1), dt.datetime(2026, 2, 1)",
        ),
        mutate=("loc.rule.set(byweekday=md.FR)", "loc.MAXTICKS = 99"),
        before="""
            assert [md.num2date(d).weekday() for d in loc.tick_values(*span)][:2] == [0, 0]
            assert loc.MAXTICKS != 99
        """,
        after="""
            assert [md.num2date(d).weekday() for d in loc.tick_values(*span)][:2] == [4, 4]
            assert loc.MAXTICKS == 99
        """,
        needs=("matplotlib",),
    ),
    Case(
        "matplotlib.dates.AutoDateFormatter",
        make=(
            MPL,
            "import matplotlib.dates as md",
            "loc = md.AutoDateLocator()",
            "fmt = md.AutoDateFormatter(loc)",
        ),
        mutate=("fmt.scaled[1.0] = '%d!'", "fmt.defaultfmt = '%Y'"),
        before="assert fmt._locator is loc and fmt.scaled[1.0] != '%d!' and fmt.defaultfmt == '%Y-%m-%d'",
        after="assert fmt._locator is loc and fmt.scaled[1.0] == '%d!' and fmt.defaultfmt == '%Y'",
        needs=("matplotlib",),
    ),
    drawn(
        "matplotlib.lines.Line2D",
        "fig, ax = plt.subplots(); line, = ax.plot([0, 1, 2], [5, 3, 4])",
        (
            "line.set_color('purple'); line.set_linewidth(5)",
            "line.set_ydata([1, 2, 3]); ax.relim(); ax.autoscale_view()",
        ),
        "assert ax.lines[0] is line and line.get_ydata().tolist() == [5, 3, 4]",
        "assert ax.lines[0] is line and list(line.get_ydata()) == [1, 2, 3] and line.get_color() == 'purple'",
    ),
    drawn(
        "matplotlib.patches.Ellipse",
        """
            from matplotlib.patches import Ellipse
            fig, ax = plt.subplots()
            e = ax.add_patch(Ellipse((0.5, 0.5), 0.4, 0.2))
        """,
        ("e.angle = 45", "e.set(facecolor='red', width=0.8)"),
        "assert ax.patches[0] is e and e.angle == 0 and e.width == 0.4",
        "assert ax.patches[0] is e and e.angle == 45 and e.width == 0.8",
    ),
    drawn(
        "matplotlib.patches.Arrow",
        """
            from matplotlib.patches import Arrow
            fig, ax = plt.subplots()
            arrow = ax.add_patch(Arrow(0, 0, 0.5, 0.5))
        """,
        ("arrow.set_data(dx=0.9)", "arrow.set_hatch('/')"),
        "assert ax.patches[0] is arrow and arrow.get_hatch() is None",
        "assert ax.patches[0] is arrow and arrow.get_hatch() == '/'",
    ),
    drawn(
        "matplotlib.image.AxesImage over an array",
        """
            data = np.arange(16.0).reshape(4, 4)
            fig, ax = plt.subplots()
            im = ax.imshow(data)
            bar = fig.colorbar(im)
        """,
        ("im.set_cmap('gray'); im.set_clim(0, 5)", "data[:] = 3; im.set_data(data)"),
        "assert ax.images[0] is im and im.get_clim() == (0, 15) and bar.mappable is im",
        """
            assert ax.images[0] is im and im.get_clim() == (0, 5) and im.get_array().sum() == 48
            assert im.cmap.name == 'gray'
        """,
    ),
    drawn(
        "matplotlib.image.FigureImage",
        "fig = plt.figure(); im = fig.figimage(np.eye(50), 10, 20)",
        ("im.ox = 200", "im.set_alpha(0.5)"),
        "assert fig.images == [im] and im.ox == 10 and im.get_alpha() is None",
        "assert fig.images == [im] and im.ox == 200 and im.get_alpha() == 0.5",
    ),
    drawn(
        "matplotlib.offsetbox.AnchoredOffsetbox",
        "from matplotlib.offsetbox import AnchoredOffsetbox, TextArea\nfig, ax = plt.subplots()\n"
        "text = TextArea('note'); box = ax.add_artist(AnchoredOffsetbox('upper left', child=text))",
        ("text.set_text('changed')", "box.loc = 4; box.patch.set_facecolor('yellow')"),
        "assert box in ax.artists and box.get_child() is text and text.get_text() == 'note' and box.loc == 2",
        """
            assert box in ax.artists and box.get_child() is text and text.get_text() == 'changed'
            assert box.loc == 4
        """,
    ),
    drawn(
        "matplotlib.ticker.AutoLocator",
        """
            from matplotlib.ticker import AutoLocator
            fig, ax = plt.subplots()
            ticks = AutoLocator()
            ax.xaxis.set_major_locator(ticks)
        """,
        ("ticks.set_params(nbins=3)",),
        """
            assert ax.xaxis.get_major_locator() is ticks and ticks.axis is ax.xaxis
            assert len(ticks.tick_values(0, 10)) == 6
        """,
        """
            assert ax.xaxis.get_major_locator() is ticks and ticks.axis is ax.xaxis
            assert len(ticks.tick_values(0, 10)) == 3
        """,
    ),
    drawn(
        "mpl_toolkits.mplot3d.art3d.Line3DCollection",
        "from mpl_toolkits.mplot3d.art3d import Line3DCollection\n"
        "fig = plt.figure(); ax = fig.add_subplot(projection='3d')\n"
        "lines = ax.add_collection3d(Line3DCollection([[(0, 0, 0), (1, 1, 1)]]))",
        ("lines.set_segments([[(0, 0, 0), (1, 0, 1)]]); lines.set_color('red')", "ax.view_init(90, 0)"),
        "assert lines in ax.collections and list(lines._segments3d[0][1]) == [1, 1, 1] and ax.elev == 30",
        "assert lines in ax.collections and list(lines._segments3d[0][1]) == [1, 0, 1] and ax.elev == 90",
    ),
    drawn(
        "matplotlib.Figure with text, errors, contours, a histogram and subfigures",
        "fig = plt.figure(layout='constrained'); left, right = fig.subfigures(1, 2)\n"
        "ax = left.subplots()\n"
        "note = ax.annotate('here', (0.5, 0.5), (0.1, 0.9), arrowprops={'arrowstyle': '->'})\n"
        "bars = right.subplots().errorbar([1, 2], [1, 2], yerr=0.5)",
        (
            "note.set_text('there')",
            "right.axes[0].contourf(np.outer(range(5), range(5))); ax.hist([1, 1, 2])",
        ),
        "assert note.get_text() == 'here' and note in ax.texts and right.axes[0].containers[0] is bars",
        "assert note.get_text() == 'there' and note in ax.texts and len(ax.patches) == 10",
    ),
    Case(
        "matplotlib.Figure with callbacks of the user's",
        make=(
            MPL,
            "seen = []\ndef on_change(ax): seen.append(ax.get_xlim())",
            "fig, ax = plt.subplots(); cid = ax.callbacks.connect('xlim_changed', on_change)",
        ),
        mutate=("ax.set_xlim(0, 5)",),
        before="assert seen == [] and ax.get_xlim() == (0, 1)",
        after="assert seen == [(0, 5)] and ax.get_xlim() == (0, 5)",
        needs=("matplotlib",),
    ),
)

MATPLOTLIB_CASES += (
    Case(
        "matplotlib.Figure that is only looked at",
        make=(MPL, "fig, ax = plt.subplots(); lines = ax.plot([1, 2], [3, 4]); first = pixels(fig)"),
        mutate=("n = len(ax.lines); span = ax.get_xlim(); text = repr(fig)",),
        before="assert ax.lines[0] is lines[0]",
        after="assert n == 1 and ax.lines[0] is lines[0] and span == ax.get_xlim()",
        unchanged=("fig", "ax", "lines"),
        needs=("matplotlib",),
    ),
)

SEABORN_CASES = (
    drawn(
        "seaborn grid and its figure",
        "import seaborn as sns, pandas as pd\n"
        "df = pd.DataFrame({'x': [1, 2, 3, 4], 'y': [1, 3, 2, 4], 'k': list('aabb')})\n"
        "grid = sns.relplot(df, x='x', y='y', col='k'); fig = grid.figure",
        ("grid.set_axis_labels('left', 'right')", "grid.axes[0, 0].set_facecolor('pink')"),
        "assert grid.figure is fig and grid.data.equals(df) and grid.axes[0, 0].get_xlabel() == 'x'",
        "assert grid.figure is fig and grid.axes[0, 0].get_xlabel() == 'left'",
        needs=("seaborn",),
    ),
    drawn(
        "seaborn heatmap and palette",
        """
            import seaborn as sns
            fig, ax = plt.subplots()
            sns.heatmap(np.eye(3), ax=ax, annot=True)
            palette = sns.color_palette('deep', 3)
        """,
        (
            "ax.texts[0].set_text('!')",
            "palette[0] = (0, 0, 0); ax.set_facecolor(palette[0]); ax.collections[0].set_alpha(0.3)",
        ),
        "assert ax.texts[0].get_text() == '1' and palette[0] != (0, 0, 0)",
        "assert ax.texts[0].get_text() == '!' and palette[0] == (0, 0, 0)",
        needs=("seaborn",),
    ),
)

PLOTLY_CASES = (
    Case(
        "plotly.graph_objects.Figure",
        make=(
            "import plotly.graph_objects as go",
            "fig = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))",
            "trace = fig.data[0]",
            "first = fig.to_dict()",
        ),
        mutate=(
            "fig.update_layout(title='made')",
            "trace.marker.color = 'red'",
            "fig.add_bar(x=[1], y=[2])",
            "second = fig.to_dict()",
        ),
        before="""
            assert fig.to_dict() == first and fig.data[0] is trace and fig.layout.title.text is None
            assert len(fig.data) == 1
        """,
        after="""
            assert fig.to_dict() == second != first and fig.data[0] is trace
            assert fig.data[0].marker.color == 'red'
            assert fig.layout.title.text == 'made' and fig.data[1].type == 'bar' and trace.parent is fig
        """,
        needs=("plotly",),
    ),
    Case(
        "plotly.express figure of a frame",
        make=(
            "import plotly.express as px, pandas as pd",
            "df = pd.DataFrame({'x': [1, 2], 'y': [3, 4], 'k': ['a', 'b']})",
            "fig = px.scatter(df, x='x', y='y', color='k')",
            "first = fig.to_dict()['data']",
        ),
        mutate=(
            "fig.update_traces(marker_size=20)",
            "fig.data[1].visible = 'legendonly'",
            "df.loc[0, 'x'] = 100",
        ),
        before="""
            assert [t.name for t in fig.data] == ['a', 'b'] and fig.data[0].marker.size is None
            assert df.x[0] == 1 and fig.data[0].x.tolist() == [1]
        """,
        after="""
            assert fig.data[0].marker.size == 20 and fig.data[1].visible == 'legendonly' and df.x[0] == 100
        """,
        needs=("plotly", "pandas"),
    ),
    Case(
        "plotly.figure_factory figure",
        make=("import plotly.figure_factory as ff", "fig = ff.create_table([['a', 'b'], ['1', '2']])"),
        mutate=("fig.layout.annotations[0].text = 'changed'",),
        before="assert 'a' in fig.layout.annotations[0].text and fig.data[0].type == 'heatmap'",
        after="assert fig.layout.annotations[0].text == 'changed'",
        needs=("plotly",),
    ),
    Case(
        "plotly.graph_objs trace and layout on their own",
        make=(
            "from plotly.graph_objs import Layout, Pie",
            "pie = Pie(labels=['a', 'b'], values=[1, 2])",
            "layout = Layout(width=300)",
        ),
        mutate=("pie.values = [5, 6]", "layout.update(width=500, xaxis={'title': {'text': 'x'}})"),
        before="assert pie.values == (1, 2) and layout.width == 300",
        after="assert pie.values == (5, 6) and layout.width == 500 and layout.xaxis.title.text == 'x'",
        needs=("plotly",),
    ),
    Case(
        "plotly.io templates",
        make=(
            "import plotly.io as pio, plotly.graph_objects as go",
            "template = go.layout.Template(layout={'font': {'size': 10}})",
            "fig = go.Figure(layout={'template': template})",
        ),
        mutate=("template.layout.font.size = 30", "fig.layout.template.layout.font.color = 'red'"),
        before="assert template.layout.font.size == 10 and fig.layout.template.layout.font.color is None",
        after="""
            assert template.layout.font.size == 30
            assert pio.from_json(pio.to_json(fig)).layout.template.layout.font.color == 'red'
        """,
        needs=("plotly",),
    ),
    Case(
        "plotly.offline markup of a figure",
        make=(
            "import plotly.offline as off, plotly.graph_objects as go",
            "fig = go.Figure(go.Bar(y=[1]))",
            "html = off.plot(fig, output_type='div', include_plotlyjs=False)",
        ),
        mutate=("fig.data[0].y = [7, 8]", "html = off.plot(fig, output_type='div', include_plotlyjs=False)"),
        before="assert fig.data[0].y == (1,) and '\"y\":[1]' in html",
        after="assert fig.data[0].y == (7, 8) and '\"y\":[7,8]' in html",
        needs=("plotly",),
    ),
    Case(
        "plotly.subplots with a grid",
        make=(
            "from plotly.subplots import make_subplots",
            "fig = make_subplots(rows=2, cols=1, shared_xaxes=True)",
        ),
        mutate=(
            "fig.add_scatter(y=[1, 2], row=2, col=1)",
            "fig.update_yaxes(title_text='low', row=2, col=1)",
        ),
        before="assert not fig.data and [len(fig.get_subplot(r, 1)) for r in (1, 2)] == [2, 2]",
        after="assert fig.data[0].yaxis == 'y2' and fig.get_subplot(2, 1).yaxis.title.text == 'low'",
        needs=("plotly",),
    ),
)

BOKEH_CASES = (
    Case(
        "bokeh.plotting._figure.figure",
        make=(
            "from bokeh.plotting import figure, ColumnDataSource",
            "source = ColumnDataSource({'x': [1, 2], 'y': [3, 4]})",
            "p = figure(title='t'); r = p.scatter('x', 'y', source=source)",
        ),
        mutate=("p.title.text = 'changed'", "source.data['y'] = [30, 40]", "p.line([1], [2])"),
        before="""
            assert p.title.text == 't' and p.renderers == [r] and r.data_source is source
            assert source.data['y'] == [3, 4]
        """,
        after="""
            assert p.title.text == 'changed' and p.renderers[0].data_source is source
            assert source.data['y'] == [30, 40] and len(p.renderers) == 2
        """,
        needs=("bokeh",),
    ),
    Case(
        "bokeh.models.renderers.glyph_renderer.GlyphRenderer",
        make=("from bokeh.plotting import figure", "p = figure(); r = p.line([1, 2], [3, 4])"),
        mutate=("r.glyph.line_width = 9", "r.visible = False"),
        before="assert r in p.renderers and r.glyph.line_width == 1 and r.visible",
        after="assert r in p.renderers and r.glyph.line_width == 9 and not r.visible",
        needs=("bokeh",),
    ),
)

PICTURE_CASES = (
    Case(
        "PIL.Image, drawn on",
        make=(
            "from PIL import Image, ImageDraw",
            "im = Image.new('RGB', (20, 10), 'white')",
            "pen = ImageDraw.Draw(im)",
            "im.info['dpi'] = (72, 72)",
        ),
        mutate=(
            "pen.line((0, 0, 19, 9), fill='red')",
            "im.putpixel((3, 0), (0, 0, 255))",
            "im.info['dpi'] = (300, 300)",
        ),
        before="assert im.getcolors() == [(200, (255, 255, 255))] and im.info['dpi'] == (72, 72)",
        after="""
            assert im.getpixel((0, 0)) == (255, 0, 0) and im.getpixel((3, 0)) == (0, 0, 255)
            assert im.info['dpi'] == (300, 300)
        """,
        needs=("PIL",),
    ),
    Case(
        "PIL.Image opened from a file, lazily",
        make=(
            "from PIL import Image",
            "Image.new('L', (4, 4), 7).save('case.png')",
            "im = Image.open('case.png')",
            "p = Image.new('P', (2, 2)); p.putpalette([0, 0, 0, 9, 9, 9])",
        ),
        mutate=("im.load(); im.paste(200, (0, 0, 2, 2))", "p.putpixel((0, 0), 1)"),
        before="""
            assert im.copy().getpixel((0, 0)) == 7 and im.size == (4, 4)
            assert p.convert('RGB').getpixel((0, 0)) == (0, 0, 0)
        """,
        after="""
            assert im.getpixel((0, 0)) == 200 and im.getpixel((3, 3)) == 7
            assert p.convert('RGB').getpixel((0, 0)) == (9, 9, 9)
        """,
        needs=("PIL",),
    ),
    Case(
        "cv2 image, points and detector",
        make=(
            "import cv2, numpy as np",
            "im = np.zeros((32, 32, 3), np.uint8)",
            "contours = [np.array([[[1, 1]], [[5, 1]], [[5, 5]]], np.int32)]",
        ),
        mutate=(
            "shown = cv2.circle(im, (16, 16), 5, (0, 255, 0), -1)",
            "cv2.drawContours(im, contours, -1, (0, 0, 255))",
        ),
        before="assert not im.any() and im.dtype == np.uint8",
        after="""
            assert im[16, 16].tolist() == [0, 255, 0] and im[1, 1].tolist() == [0, 0, 255]
            assert np.shares_memory(im, shown)
        """,
        needs=("cv2",),
    ),
    Case(
        "skimage picture and transform",
        make=(
            "import numpy as np",
            "from skimage import filters, measure, transform",
            "im = np.zeros((16, 16)); im[4:8, 4:8] = 1",
            "t = transform.AffineTransform(rotation=0.5)",
            "regions = measure.regionprops(measure.label(im > 0))",
        ),
        mutate=(
            "im[:] = filters.gaussian(im)",
            "t.params[0, 2] = 9",
            "regions = measure.regionprops(measure.label(im > 0.001))",
        ),
        before="""
            assert im.sum() == 16 and t.translation.tolist() == [0, 0] and regions[0].area == 16
            assert regions[0].bbox == (4, 4, 8, 8)
        """,
        after="assert 0 < im[3, 3] < 1 and t.translation.tolist() == [9, 0] and regions[0].area > 16",
        needs=("skimage",),
    ),
    Case(
        "skimage.morphology footprint and skeleton",
        make=(
            "import numpy as np",
            "from skimage import morphology",
            "disk = morphology.disk(2)",
            "im = np.ones((9, 9), bool)",
        ),
        mutate=(
            "disk[0] = 0",
            "morphology.remove_small_objects(im, max_size=3, out=im); im[:] = morphology.skeletonize(im)",
        ),
        before="assert disk.sum() == 13 and im.all()",
        after="assert disk.sum() == 12 and 0 < im.sum() < 20",
        needs=("skimage",),
    ),
    Case(
        "wordcloud.WordCloud",
        make=(
            "from wordcloud import WordCloud",
            """
                cloud = WordCloud(width=80, height=40, random_state=1)
                shown = cloud.generate_from_frequencies({'a': 2, 'b': 1})
            """,
            "first = cloud.to_array()",
        ),
        mutate=(
            "cloud.recolor(random_state=5)",
            "cloud.background_color = 'white'",
            "cloud.words_['c'] = 0.1",
            "second = cloud.to_array()",
        ),
        before="assert (cloud.to_array() == first).all() and cloud.words_ == {'a': 1, 'b': 0.5}",
        after="""
            assert (cloud.to_array() == second).all() and (first != second).any()
            assert cloud.words_['c'] == 0.1
        """,
        needs=("wordcloud",),
    ),
)

CASES = tuple(
    replace(case, long=True)
    for case in (*MATPLOTLIB_CASES, *SEABORN_CASES, *PLOTLY_CASES, *BOKEH_CASES, *PICTURE_CASES)
)
