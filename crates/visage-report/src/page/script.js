'use strict';
(() => {
  // Tooltips. The group of a plot holds each axis: first and last pixel, value at either, 1 if logarithmic.
  const tip = document.getElementById('tip');
  const near = 24;
  const mark = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
  mark.id = 'mark';
  mark.setAttribute('r', 5);

  const value = (axis, at) => {
    const [begin, end, low, high, log] = axis.split(',').map(Number);
    const share = Math.min(1, Math.max(0, (at - begin) / (end - begin)));
    return log ? low * (high / low) ** share : low + (high - low) * share;
  };
  const text = v => v === 0 ? '0' : Math.abs(v) < 1e-3 || Math.abs(v) >= 1e6 ? v.toExponential(1) : String(+v.toPrecision(3));
  const vertices = path => path.vertices ??= path.getAttribute('d').slice(1).split(' ').map(p => p.split(',').map(Number));

  // The position on a polyline nearest to x, y, and the index of its vertex nearest to that.
  const nearest = (points, x, y) => {
    let best = { d: Infinity };
    for (let i = 0; i + 1 < points.length; i++) {
      const [x1, y1] = points[i], [x2, y2] = points[i + 1];
      const dx = x2 - x1, dy = y2 - y1, length = dx * dx + dy * dy;
      const t = length ? Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / length)) : 0;
      const px = x1 + t * dx, py = y1 + t * dy, d = Math.hypot(px - x, py - y);
      if (d < best.d) best = { d, x: px, y: py, i: t < 0.5 ? i : i + 1 };
    }
    return best;
  };

  // The mark nearest to x, y. Dots are easier to hit than they are large.
  const found = (svg, x, y) => {
    let best = { d: near };
    const better = (d, place, words) => { if (d < best.d) best = { d, ...place, words }; };
    for (const plot of svg.querySelectorAll('g[data-x]')) {
      const { xn, yn, x: across, y: up } = plot.dataset;
      const values = place => `${xn} ${text(value(across, place.x))}, ${yn} ${text(value(up, place.y))}`;
      for (const el of plot.querySelectorAll('[data-t],[data-n]')) {
        const told = el.dataset;
        if (el.tagName === 'circle') {
          const place = { x: +el.getAttribute('cx'), y: +el.getAttribute('cy') };
          better(Math.hypot(place.x - x, place.y - y) - 8, place, () => told.t ?? `${told.n}: ${values(place)}`);
        } else if (el.tagName === 'rect') {
          const [l, t, w, h] = ['x', 'y', 'width', 'height'].map(name => +el.getAttribute(name));
          const d = Math.hypot(Math.max(l - x, 0, x - l - w), Math.max(t - y, 0, y - t - h));
          better(d, { x: l + w / 2, y: t + h / 2 }, () => told.t);
        } else {
          const place = nearest(vertices(el), x, y);
          const third = () => told.z ? `, ${told.zn} ${told.z.split(' ')[place.i]}` : '';
          better(place.d, place, () => `${told.n}: ${values(place)}${third()}`);
        }
      }
    }
    return best.words && best;
  };

  const hide = () => { tip.hidden = true; mark.remove(); };
  const point = event => {
    const svg = event.target.closest?.('.drawing svg');
    const at = svg && new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const hit = svg && found(svg, at.x, at.y);
    if (!hit) return hide();
    svg.append(mark);
    mark.setAttribute('cx', hit.x);
    mark.setAttribute('cy', hit.y);
    tip.textContent = hit.words();
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const right = scrollX + document.documentElement.clientWidth - box.width - 6;
    const above = event.pageY - box.height - 14;
    tip.style.left = Math.max(scrollX + 6, Math.min(event.pageX + 14, right)) + 'px';
    tip.style.top = (above < scrollY ? event.pageY + 18 : above) + 'px';
  };
  document.addEventListener('pointermove', point);
  document.addEventListener('pointerdown', point);
  document.addEventListener('keydown', event => { if (event.key === 'Escape') hide(); });

  // Tables to sort and filter.
  for (const sortable of document.querySelectorAll('.sortable')) {
    const table = sortable.querySelector('table');
    const body = table.tBodies[0], rows = [...body.rows], headings = [...table.tHead.rows[0].cells];
    const named = headings.map(heading => heading.className === 'w');
    const cell = (row, column) => {
      const words = row.cells[column].textContent;
      return named[column] ? words : parseFloat(words);
    };
    headings.forEach((heading, column) => heading.firstChild.addEventListener('click', () => {
      const [first, second] = named[column] ? ['ascending', 'descending'] : ['descending', 'ascending'];
      const order = heading.getAttribute('aria-sort') === first ? second : first;
      headings.forEach(each => each.removeAttribute('aria-sort'));
      heading.setAttribute('aria-sort', order);
      const sign = order === 'ascending' ? 1 : -1;
      rows.sort((a, b) => {
        const x = cell(a, column), y = cell(b, column);
        if (named[column]) return sign * x.localeCompare(y);
        // Undefined values come last in either order.
        return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : sign * (x - y);
      });
      body.append(...rows);
    }));
    const filter = sortable.querySelector('input'), shown = sortable.querySelector('output');
    const test = word => {
      const parts = word.match(/^([a-z0-9]+)([<>])(\d*\.?\d+)$/);
      const column = parts ? headings.findIndex(heading => heading.dataset.k.startsWith(parts[1])) : -1;
      if (column < 0) return row => [...row.cells].some((each, i) => named[i] && each.textContent.toLowerCase().includes(word));
      return row => parts[2] === '<' ? cell(row, column) < +parts[3] : cell(row, column) > +parts[3];
    };
    const apply = () => {
      const tests = filter.value.toLowerCase().split(/\s+/).filter(Boolean).map(test);
      for (const row of rows) row.hidden = !tests.every(passes => passes(row));
      shown.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
    };
    filter.addEventListener('input', apply);
    apply();
  }

  // The figures of attributes.
  document.querySelectorAll('[data-open]').forEach(button => button.addEventListener('click', () => {
    document.querySelectorAll('details').forEach(each => { each.open = !!button.dataset.open; });
  }));
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.tagName !== 'DETAILS') return;
    target.open = true;
    target.scrollIntoView();
  };
  addEventListener('hashchange', follow);
  follow();
})();
