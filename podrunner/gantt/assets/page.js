"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const scroll = at("scroll"), space = at("space"), chart = at("chart"), axis = at("axis"), overview = at("overview");
  const search = at("search"), details = at("details"), tip = at("tip"), filters = at("filters"), help = at("help");
  const ROW = 24, LANE = 14, RIGHT = 26;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let shown = data.rows, keys = "", tops = [0], view = [0, data.length], chosen = null, wanted = new Set(), patterns = {}, frame = 0, dragged = null;

  // What is shown

  const haystack = (row) => [row.key, row.ns, ...row.bars.flatMap((bar) =>
    [bar.pod, bar.node, bar.status, bar.category || "not over", bar.fault, bar.reason, bar.message])].join("\n").toLowerCase();
  for (const row of data.rows) {
    row.text = haystack(row);
    row.categories = new Set(row.bars.map((bar) => bar.category || ""));
  }
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = data.rows.filter((row) => words.every((word) => row.text.includes(word))
      && (!wanted.size || [...wanted].some((category) => row.categories.has(category))));
    tops = [0];
    for (const row of shown) tops.push(tops[tops.length - 1] + (row.lanes > 1 ? 6 + LANE * row.lanes : ROW));
    space.style.height = Math.max(1, tops[shown.length]) + "px";
    const count = (shown.length === data.rows.length ? "" : shown.length + " of ") + data.rows.length + " keys";
    scroll.setAttribute("aria-label", count + ": arrow keys choose a pod");
    keys = count;
    if (chosen && !shown.includes(chosen.row)) choose(null);
    draw();
  }

  // Colours and patterns

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (tone) => data.tones[tone][dark.matches ? "dark" : "light"];
  const SHAPES = {
    hatch: (g) => { g.lineWidth = 1.6; g.moveTo(-2, 2); g.lineTo(2, -2); g.moveTo(0, 8); g.lineTo(8, 0); g.moveTo(6, 10); g.lineTo(10, 6); },
    dots: (g) => { g.lineWidth = 2.4; g.lineCap = "round"; g.moveTo(2, 2); g.lineTo(2.1, 2); g.moveTo(6, 6); g.lineTo(6.1, 6); },
    cross: (g) => { g.lineWidth = 1.1; g.moveTo(0, 0); g.lineTo(8, 8); g.moveTo(8, 0); g.lineTo(0, 8); },
    lines: (g) => { g.lineWidth = 1.4; g.moveTo(0, 2); g.lineTo(8, 2); g.moveTo(0, 6); g.lineTo(8, 6); },
  };
  function fillOf(context, pattern, tone) {
    if (pattern === "solid") return colour(tone);
    const name = pattern + tone;
    if (!patterns[name]) {
      const tile = document.createElement("canvas"), ratio = devicePixelRatio || 1;
      tile.width = tile.height = Math.round(8 * ratio);
      const g = tile.getContext("2d");
      g.scale(tile.width / 8, tile.height / 8);
      g.globalAlpha = 0.14; g.fillStyle = colour(tone); g.fillRect(0, 0, 8, 8); g.globalAlpha = 1;
      g.strokeStyle = colour(tone); g.beginPath();
      if (SHAPES[pattern]) SHAPES[pattern](g);
      g.stroke();
      const made = context.createPattern(tile, "repeat");
      made.setTransform(new DOMMatrix().scale(8 / tile.width, 8 / tile.height));
      patterns[name] = made;
    }
    return patterns[name];
  }
  function block(context, x, y, width, height, pattern, tone) {
    context.fillStyle = fillOf(context, pattern, tone);
    context.fillRect(x, y, width, height);
    if (pattern === "solid" || width < 4) return;
    context.strokeStyle = colour(tone); context.lineWidth = 1;
    context.setLineDash(pattern === "outline" ? [3, 2] : []);
    context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    context.setLineDash([]);
  }

  // Drawing

  function sized(canvas, width, height) {
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    }
    canvas.style.height = height + "px";
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px " + getComputedStyle(document.body).fontFamily;
    context.textBaseline = "middle";
    return context;
  }
  const left = () => Math.min(260, Math.round(scroll.clientWidth * 0.3));
  const scale = () => (scroll.clientWidth - left() - RIGHT) / (view[1] - view[0]);
  const place = (seconds) => left() + (seconds - view[0]) * scale();
  let fitted = {}, fittedTo = 0;
  function fit(context, text, width) { // measuring a text takes longer than drawing it
    if (fittedTo !== width) { fitted = {}; fittedTo = width; }
    const name = "=" + text;
    if (fitted[name] !== undefined) return fitted[name];
    const all = [...text.replace(/[\u0000-\u001f\u007f]/g, " ")];
    const cut = (length) => { // keys differ at their ends
      const head = Math.ceil(length * 0.35);
      return length >= all.length ? all.join("") : all.slice(0, head).join("") + "…" + all.slice(all.length - (length - head)).join("");
    };
    let low = 0, high = all.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (context.measureText(cut(middle)).width <= width) low = middle; else high = middle - 1;
    }
    return fitted[name] = cut(low);
  }
  const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  function ticks(width) {
    const span = view[1] - view[0], most = Math.max(3, Math.floor(width / 90));
    const step = STEPS.find((each) => span / each <= most) || 86400 * Math.ceil(span / 86400 / most);
    const found = [];
    for (let count = Math.ceil(view[0] / step - 1e-9); count * step <= view[1] + 1e-9; count++) found.push(count * step);
    return found;
  }
  function duration(seconds) {
    if (seconds < 10) return String(+seconds.toFixed(seconds < 0.1 ? 3 : 2)) + " s";
    const whole = Math.round(seconds);
    if (whole < 60) return whole + " s";
    const minutes = Math.floor(whole / 60), rest = whole % 60;
    if (minutes < 60) return rest ? minutes + " min " + rest + " s" : minutes + " min";
    return Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min";
  }
  function draw() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; drawChart(); drawAxis(); drawOverview(); });
  }
  function drawChart() {
    const width = scroll.clientWidth, height = scroll.clientHeight, label = left();
    const context = sized(chart, width, height);
    chart.style.width = width + "px";
    const first = rowAt(scroll.scrollTop), last = Math.min(shown.length, rowAt(scroll.scrollTop + height) + 1);
    context.fillStyle = style("--band");
    for (let number = first; number < last; number++) {
      if (number % 2) context.fillRect(0, tops[number] - scroll.scrollTop, width, tops[number + 1] - tops[number]);
    }
    context.fillStyle = style("--line");
    for (const tick of ticks(width - label)) context.fillRect(Math.round(place(tick)), 0, 1, height);
    for (let number = first; number < last; number++) {
      drawRow(context, shown[number], tops[number] - scroll.scrollTop, tops[number + 1] - tops[number], label, width);
    }
    if (!shown.length) { context.fillStyle = style("--soft"); context.fillText("No pod fits the search and the categories.", 12, 20); }
    if (dragged && dragged.canvas === chart) drawRange(context, dragged, height);
  }
  function rowAt(y) { // the row at a height, by halving
    let low = 0, high = shown.length;
    while (high - low > 1) { const middle = (low + high) >> 1; if (tops[middle] <= y) low = middle; else high = middle; }
    return low;
  }
  function drawRow(context, row, top, tall, label, width) {
    if (chosen && chosen.row === row) { context.fillStyle = style("--accent"); context.fillRect(0, top, 3, tall); }
    context.fillStyle = style("--text");
    context.fillText(fit(context, row.key, label - 20), 10, top + tall / 2);
    context.save();
    context.beginPath(); context.rect(label, top, width - label, tall); context.clip();
    const height = (tall - 6) / row.lanes;
    for (const bar of row.bars) {
      const y = top + 3 + height * bar.lane;
      for (const [phase, from, to] of bar.spans) {
        const x = Math.max(label - 5, place(from)), end = Math.min(width + 5, place(to));
        if (end >= label && x <= width) block(context, x, y, Math.max(1.5, end - x), height - 1, data.phases[phase][2], bar.tone);
      }
      if (chosen && chosen.bar === bar) {
        context.strokeStyle = style("--text"); context.lineWidth = 1.5;
        context.strokeRect(place(bar.from) - 1.5, y - 1.5, Math.max(3, place(bar.to) - place(bar.from)) + 3, height + 2);
      }
    }
    context.font = "bold " + context.font;
    context.lineJoin = "round"; context.lineWidth = 3; context.strokeStyle = style("--ground");
    for (const bar of row.bars) if (bar.mark) { // after all bars, with a rim: the next try may begin right behind
      const x = Math.max(label, place(bar.to)) + 4, y = top + 3 + height * (bar.lane + 0.5);
      context.strokeText(bar.mark, x, y);
      context.fillStyle = colour(bar.tone);
      context.fillText(bar.mark, x, y);
    }
    context.restore();
  }
  function drawAxis() {
    const width = axis.clientWidth, context = sized(axis, width, 26), room = left();
    context.fillStyle = style("--soft");
    context.textAlign = "left";
    context.fillText(keys, 10, 13);
    for (const tick of ticks(scroll.clientWidth - room)) {
      const words = duration(tick), x = place(tick), half = context.measureText(words).width / 2;
      context.textAlign = "left";
      context.fillText(words, Math.min(width - 2 * half - 4, Math.max(room, x - half)), 13);
    }
  }
  let profile = null;
  function load(width) { // how many pods there are at each place of the overview
    if (profile && profile.length === width) return profile;
    const change = new Float64Array(width + 1);
    for (const row of data.rows) for (const bar of row.bars) {
      const first = Math.floor(bar.from / data.length * (width - 1)), last = Math.floor(bar.to / data.length * (width - 1));
      change[first]++; change[last + 1]--;
    }
    profile = new Float64Array(width);
    for (let x = 0, count = 0; x < width; x++) profile[x] = count += change[x];
    return profile;
  }
  function drawOverview() {
    const width = overview.clientWidth, context = sized(overview, width, 34), counts = load(Math.max(1, Math.round(width)));
    const top = counts.reduce((most, each) => Math.max(most, each), 1);
    context.fillStyle = style("--soft"); context.globalAlpha = 0.55;
    counts.forEach((count, x) => context.fillRect(x, 32 - count / top * 28, 1, count / top * 28));
    context.globalAlpha = 1;
    const x = view[0] / data.length * width, end = view[1] / data.length * width;
    context.fillStyle = style("--accent"); context.globalAlpha = 0.22;
    context.fillRect(x, 0, end - x, 34);
    context.globalAlpha = 1;
    context.fillRect(x, 0, 2, 34); context.fillRect(end - 2, 0, 2, 34);
    if (dragged && dragged.canvas === overview) drawRange(context, dragged, 34);
  }
  function drawRange(context, range, height) {
    context.fillStyle = style("--accent"); context.globalAlpha = 0.3;
    context.fillRect(Math.min(range.from, range.to), 0, Math.abs(range.to - range.from), height);
    context.globalAlpha = 1;
  }

  // Zoom

  function show(from, to) {
    const least = Math.min(data.length, 0.002), width = Math.min(data.length, Math.max(least, to - from));
    const begin = Math.min(Math.max(0, from), data.length - width);
    view = [begin, begin + width];
    draw();
  }
  function zoom(factor, around = (view[0] + view[1]) / 2) {
    show(around - (around - view[0]) * factor, around + (view[1] - around) * factor);
  }
  const pan = (share) => { const by = (view[1] - view[0]) * share; show(view[0] + by, view[1] + by); };
  const timeAt = (x) => view[0] + (x - left()) / scale();
  at("in").onclick = () => zoom(0.5);
  at("out").onclick = () => zoom(2);
  at("all").onclick = () => show(0, data.length);
  function wheel(event) {
    if (this === scroll && !event.ctrlKey && !event.shiftKey && !event.metaKey) {
      if (event.deltaX) { event.preventDefault(); pan(event.deltaX / 600); }
      return;
    }
    event.preventDefault();
    const box = scroll.getBoundingClientRect(), turn = event.deltaY || event.deltaX;
    zoom(Math.exp(Math.max(-200, Math.min(200, turn)) / 300), Math.max(view[0], Math.min(view[1], timeAt(event.clientX - box.left))));
  }
  for (const each of [scroll, axis, overview]) each.addEventListener("wheel", wheel, { passive: false });

  // Brush

  function brush(canvas, toTime) {
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const x = event.clientX - canvas.getBoundingClientRect().left;
      dragged = { canvas, from: x, to: x };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!dragged || dragged.canvas !== canvas) return;
      dragged.to = event.clientX - canvas.getBoundingClientRect().left;
      draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const range = dragged;
      dragged = null;
      if (range && range.canvas === canvas && Math.abs(range.to - range.from) > 4) {
        show(toTime(Math.min(range.from, range.to)), toTime(Math.max(range.from, range.to)));
      } else if (canvas === chart) {
        choose(hit(event)); scroll.focus();
      } else draw();
    });
    canvas.addEventListener("pointercancel", () => { dragged = null; draw(); });
  }
  brush(overview, (x) => x / overview.clientWidth * data.length);
  brush(chart, timeAt);

  // Details

  function hit(event) {
    const box = chart.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top + scroll.scrollTop;
    const number = rowAt(y), row = shown[number];
    if (!row || y > tops[number + 1]) return null;
    if (x < left()) return { row, bar: row.bars[row.bars.length - 1] };
    const lane = Math.min(row.lanes - 1, Math.max(0, Math.floor((y - tops[number] - 3) / ((tops[number + 1] - tops[number] - 6) / row.lanes))));
    const near = row.bars.filter((bar) => x >= place(bar.from) - 3 && x <= place(bar.to) + 22);
    const bar = near.filter((each) => each.lane === lane).pop() || near.pop();
    return bar ? { row, bar } : null;
  }
  function paragraph(text, name) {
    const found = document.createElement("p");
    found.textContent = text;
    if (name) found.className = name;
    return found;
  }
  function facts({ row, bar }) {
    const end = bar.category ? bar.category + (bar.fault ? " (fault: " + bar.fault + ")" : "") : bar.status || "waits";
    const more = [bar.exit !== undefined ? "exit code " + bar.exit : "", bar.reason || "", bar.restarts ? bar.restarts + " restarts" : ""].filter(Boolean);
    const stages = bar.spans.map(([phase, from, to, lasts]) => data.phases[phase][0] + " " + (to > from || lasts ? duration(to - from) : "under 1 s") + (lasts ? " so far" : ""));
    const found = [
      paragraph(row.key + " " + bar.try + ": " + [end, ...more].join(", "), "key"),
      paragraph([bar.pod && "pod " + row.ns + "/" + bar.pod, bar.node && "node " + bar.node].filter(Boolean).join(", ") || "no pod", "soft"),
      paragraph(stages.join(", ") || "no stage is known"),
    ];
    if (bar.message) found.push(paragraph(bar.message));
    return found;
  }
  function choose(found) {
    chosen = found;
    details.replaceChildren(...(found ? facts(found) : [paragraph("Choose a pod with the arrow keys, or by clicking.", "soft")]));
    draw();
  }
  function step(by) {
    const all = shown.flatMap((row) => row.bars.map((bar) => ({ row, bar })));
    if (!all.length) return;
    const now = chosen ? all.findIndex((each) => each.bar === chosen.bar) : -1;
    const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + by))];
    const top = tops[shown.indexOf(next.row)];
    if (top < scroll.scrollTop || top + ROW > scroll.scrollTop + scroll.clientHeight) {
      scroll.scrollTo({ top: top - scroll.clientHeight / 2, behavior: still.matches ? "auto" : "instant" });
    }
    choose(next);
  }
  chart.addEventListener("pointermove", (event) => {
    const found = dragged ? null : hit(event);
    tip.hidden = !found;
    chart.style.cursor = found ? "pointer" : "crosshair";
    if (!found) return;
    tip.replaceChildren(...facts(found));
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    const below = event.clientY + 18;
    tip.style.top = (below + tip.offsetHeight > innerHeight ? Math.max(4, event.clientY - tip.offsetHeight - 12) : below) + "px";
  });
  chart.addEventListener("pointerleave", () => { tip.hidden = true; });

  // Keys

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape") {
      search.value = ""; wanted.clear(); tip.hidden = true;
      for (const each of filters.children) each.setAttribute("aria-pressed", "false");
      choose(null); filter(); show(0, data.length);
      return;
    }
    if (event.target === search) return;
    const act = {
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => show(0, data.length),
      ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), ArrowUp: () => step(-1), ArrowDown: () => step(1),
      "/": () => search.focus(), "?": () => help.showModal(),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  at("keys").onclick = () => help.showModal();

  // Legend and filters

  function sign(text, mark) {
    const found = document.createElement("span");
    found.append(mark, text);
    return found;
  }
  function swatch(pattern, tone) {
    const canvas = document.createElement("canvas");
    canvas.dataset.pattern = pattern; canvas.dataset.tone = tone;
    return canvas;
  }
  function bold(text) {
    const found = document.createElement("b");
    found.textContent = text;
    return found;
  }
  const gap = () => { const found = document.createElement("i"); found.className = "break"; return found; };
  const tones = new Set(data.rows.flatMap((row) => row.bars.map((bar) => bar.tone)));
  at("legend").append(
    ...data.phases.map(([, label, pattern]) => sign(label, swatch(pattern, "live"))), gap(),
    ...Object.entries(data.tones).filter(([tone]) => tones.has(tone)).map(([tone, look]) => sign(look.label, swatch("solid", tone))), gap(),
    ...Object.keys(data.categories).filter(Boolean).map((name) => sign(name, bold(data.marks[name] || "?"))));
  function drawLegend() {
    for (const canvas of at("legend").querySelectorAll("canvas")) {
      block(sized(canvas, 24, 13), 0, 0, 24, 13, canvas.dataset.pattern, canvas.dataset.tone);
    }
  }
  for (const [name, count] of Object.entries(data.categories)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = (name ? (data.marks[name] || "?") + " " + name : "not over") + " " + count;
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      if (!wanted.delete(name)) wanted.add(name);
      button.setAttribute("aria-pressed", String(wanted.has(name)));
      filter();
    };
    filters.append(button);
  }

  search.addEventListener("input", filter);
  scroll.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(scroll);
  dark.addEventListener("change", () => { patterns = {}; drawLegend(); draw(); });
  choose(null);
  drawLegend();
  filter();
})();
