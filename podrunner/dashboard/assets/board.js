"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const rows = at("rows"), search = at("search"), filters = at("filters"), more = at("more"), none = at("none");
  const list = at("list"), page = at("pod"), state = at("state"), help = at("help");
  const PAGE = 300, LOG_LINES = 5000;
  const pods = new Map(), lines = new Map();
  let wanted = new Set(), limit = PAGE, waiting = 0, trouble = "", opened = null, log = null, stream = null, chosen = "";

  const order = new Intl.Collator("en", { numeric: true });

  function make(name, attributes, ...content) {
    const found = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key === "class") found.className = value; else if (key in found) found[key] = value; else found.setAttribute(key, value);
    }
    found.append(...content.filter((each) => each !== null && each !== undefined));
    return found;
  }
  function age(seconds) {
    if (!seconds) return "";
    const passed = Math.max(0, Date.now() / 1000 - seconds);
    if (passed < 120) return Math.floor(passed) + "s";
    if (passed < 7200) return Math.floor(passed / 60) + "m";
    if (passed < 172800) return Math.floor(passed / 3600) + "h";
    return Math.floor(passed / 86400) + "d";
  }
  function duration(seconds) {
    if (seconds < 10) return +seconds.toFixed(2) + " s";
    const whole = Math.round(seconds);
    if (whole < 60) return whole + " s";
    if (whole < 3600) return Math.floor(whole / 60) + " min " + whole % 60 + " s";
    return Math.floor(whole / 3600) + " h " + String(Math.floor(whole / 60) % 60).padStart(2, "0") + " min";
  }
  const groupOf = (pod) => pod.category || "not over";
  function mark(pod) {
    return make("span", { class: "status", title: pod.category || pod.status },
      make("span", { class: "mark " + pod.look + (pod.category ? "" : " live"), "aria-hidden": "true" }, pod.mark || "…"),
      make("span", { class: "word" }, pod.status));
  }

  // The table

  function line(pod) {
    const link = make("a", { href: "#/pod/" + encodeURIComponent(pod.uid), title: pod.ns + "/" + pod.pod }, pod.key || pod.pod);
    const found = make("tr", {}, make("td", {}, mark(pod)), make("td", { title: pod.key }, link), make("td", {}, pod.try),
      make("td", { title: pod.why }, pod.why), make("td", { class: "number" }, pod.exit === null ? "" : String(pod.exit)),
      make("td", { class: "number age" }, age(pod.created)), make("td", { title: pod.node }, pod.node));
    found.dataset.uid = pod.uid;
    return found;
  }
  function fits(pod, words) {
    if (wanted.size && !wanted.has(groupOf(pod))) return false;
    if (!words.length) return true;
    const text = [pod.key, pod.ns, pod.pod, pod.node, pod.status, pod.category, pod.fault, pod.why].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  }
  function draw() {
    waiting = 0;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = [...pods.values()].filter((pod) => fits(pod, words));
    all.sort((one, other) => (other.created || 0) - (one.created || 0) || order.compare(one.key, other.key));
    const shown = all.slice(0, limit), focused = rows.contains(document.activeElement) ? document.activeElement.closest("tr").dataset.uid : "";
    const next = shown.map((pod) => {
      let known = lines.get(pod.uid);
      if (!known || known.pod !== pod) lines.set(pod.uid, known = { pod, element: line(pod) });
      return known.element;
    });
    if (next.length !== rows.children.length || next.some((each, number) => rows.children[number] !== each)) rows.replaceChildren(...next);
    if (focused && !rows.contains(document.activeElement)) focusRow(focused);
    more.hidden = all.length <= limit;
    more.textContent = "Show more: " + Math.max(0, all.length - limit) + " left";
    none.hidden = all.length > 0;
    none.textContent = pods.size ? "No pod fits the search and the categories." : "There are no pods.";
    drawFilters();
    if (trouble) say("Out of date: " + trouble, true); else if (stream) say(all.length === pods.size ? pods.size + " pods, live" : all.length + " of " + pods.size + " pods, live");
  }
  const later = () => { if (!waiting) waiting = setTimeout(draw, 100); };
  function say(text, bad) {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("trouble", Boolean(bad));
  }
  function drawFilters() {
    const counts = new Map();
    for (const pod of pods.values()) {
      const group = counts.get(groupOf(pod)) || { count: 0, mark: pod.category && pod.mark || "…" };
      group.count++;
      counts.set(groupOf(pod), group);
    }
    for (const name of wanted) if (!counts.has(name)) counts.set(name, { count: 0, mark: "" });
    const groups = [...counts].sort((one, other) => (other[0] === "not over") - (one[0] === "not over") || other[1].count - one[1].count || (one[0] < other[0] ? -1 : 1));
    const had = document.activeElement && document.activeElement.parentNode === filters ? document.activeElement.dataset.name : null;
    const key = JSON.stringify([groups, [...wanted]]);
    if (filters.dataset.key === key) return;
    filters.dataset.key = key;
    filters.replaceChildren(...groups.map(([name, group]) => {
      const button = make("button", { type: "button", "aria-pressed": String(wanted.has(name)) }, (group.mark ? group.mark + " " : "") + name + " " + group.count);
      button.dataset.name = name;
      button.onclick = () => { if (!wanted.delete(name)) wanted.add(name); limit = PAGE; draw(); };
      return button;
    }));
    if (had !== null) for (const each of filters.children) if (each.dataset.name === had) each.focus();
  }
  function focusRow(uid) {
    for (const each of rows.children) if (each.dataset.uid === uid) each.querySelector("a").focus();
  }
  setInterval(() => {
    for (const { pod, element } of lines.values()) {
      const cell = element.querySelector(".age");
      if (element.isConnected && cell.textContent !== age(pod.created)) cell.textContent = age(pod.created);
    }
  }, 5000);
  more.onclick = () => { limit += PAGE; draw(); };
  search.addEventListener("input", () => { limit = PAGE; later(); });

  // Changes

  let connection = null;
  function connect() {
    const source = connection = new EventSource("api/changes");
    let seen = new Set();
    stream = null;
    source.addEventListener("pods", (event) => {
      const found = JSON.parse(event.data);
      for (const pod of found.pods) {
        pods.set(pod.uid, pod);
        if (seen) seen.add(pod.uid);
        if (opened === pod.uid) refresh();
      }
      for (const uid of found.gone) { pods.delete(uid); lines.delete(uid); if (opened === uid) note("The pod is gone."); }
      later();
    });
    source.addEventListener("ready", () => {
      for (const uid of [...pods.keys()]) if (seen && !seen.has(uid)) { pods.delete(uid); lines.delete(uid); }
      seen = null; stream = source; trouble = "";
      later();
    });
    source.addEventListener("trouble", (event) => { trouble = JSON.parse(event.data).text; later(); });
    source.addEventListener("end", () => { source.close(); stream = null; say("The board has ended: what is shown is of its end.", true); });
    source.onerror = () => {
      if (source !== connection) return;
      if (source.readyState === EventSource.CLOSED && !stream) say("The board does not answer. Reload to try again.", true);
      else { seen = new Set(); stream = null; say("Not connected: what is shown may be out of date.", true); }
    };
  }

  // Browsers hold six connections to a server at most: a page that is not seen gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && connection) { connection.close(); connection = stream = null; }
    else if (!document.hidden && !connection) connect();
  });

  // A pod

  let fetching = 0;
  function refresh() { if (!fetching) fetching = setTimeout(() => { fetching = 0; if (opened) load(opened, true); }, 400); }
  async function load(uid, again) {
    let found;
    try {
      const answer = await fetch("api/pods/" + encodeURIComponent(uid));
      found = await answer.json();
      if (!answer.ok) throw new Error(found.error || answer.statusText);
    } catch (error) {
      if (opened === uid) { if (again) note(String(error.message || error)); else page.replaceChildren(back(), make("p", {}, String(error.message || error))); }
      return;
    }
    if (opened !== uid) return;
    const facts = [...summary(found), stages(found.spans)].filter(Boolean);
    const rest = [evidence(found.outcome), containers(found.containers), events(found)].filter(Boolean);
    if (again && at("facts")) { at("facts").replaceChildren(...facts); at("rest").replaceChildren(...rest); }
    else {
      page.replaceChildren(back(), make("div", { id: "facts" }, ...facts), ...logPane(found), make("div", { id: "rest" }, ...rest));
      page.querySelector("a").focus();
      follow(uid);
    }
  }
  const back = () => make("a", { href: "#/" }, "← All pods");
  function note(text) {
    if (!at("facts")) return;
    const found = at("gone") || make("p", { id: "gone", class: "soft", role: "status" });
    found.textContent = text;
    at("facts").prepend(found);
  }
  function summary(pod) {
    const end = pod.outcome, facts = [["Status", mark(pod)], ["Pod", pod.ns + "/" + pod.pod], ["Node", pod.node || "none"], ["Ready", pod.ready + (pod.restarts ? ", " + pod.restarts + " restarts" : "")]];
    if (end) {
      facts.push(["Outcome", end.category + (end.fault ? ", fault: " + end.fault : "")]);
      if (end.exit_code !== null) facts.push(["Exit code", end.exit_code + (end.signal ? " (signal " + end.signal + ")" : "")]);
      if (end.category !== "succeeded") facts.push(["Retryable", end.retryable ? "yes" : "no"]);
      if (end.message) facts.push(["Cause", end.message]);
      if (end.termination_message) facts.push(["It said", end.termination_message]);
    } else if (pod.why) facts.push(["Waits for", pod.why]);
    return [make("h2", {}, pod.key || pod.pod, " ", make("span", { class: "soft" }, pod.try)),
      make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))];
  }
  function stages(spans) {
    if (!spans.length) return null;
    const first = spans[0][3], whole = Math.max(0.001, spans[spans.length - 1][4] - first);
    return make("section", {}, make("h3", {}, "Stages"), make("ul", { class: "stages" }, ...spans.map(([, label, , from, to, lasts]) => {
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg"), bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      picture.setAttribute("viewBox", "0 0 1000 14"); picture.setAttribute("preserveAspectRatio", "none"); picture.setAttribute("aria-hidden", "true");
      bar.setAttribute("x", 1000 * (from - first) / whole); bar.setAttribute("width", Math.max(4, 1000 * (to - from) / whole)); bar.setAttribute("height", 14);
      if (lasts) bar.setAttribute("class", "lasts");
      picture.append(bar);
      return make("li", {}, make("span", {}, label), make("span", { class: "number" }, (to > from || lasts ? duration(to - from) : "under 1 s") + (lasts ? " so far" : "")), picture);
    })));
  }
  function table(title, head, body) {
    return make("section", {}, make("h3", {}, title), make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, ...head.map((each) => make("th", { scope: "col" }, each)))),
      make("tbody", {}, ...body.map((cells) => make("tr", {}, ...cells.map((each, number) => make("td", { class: number < cells.length - 1 ? "fixed" : "" }, each))))))));
  }
  const containers = (found) => found.length < 2 ? null : table("Containers", ["Name", "Kind", "Restarts", "State"],
    found.map((each) => [each.name, each.init ? "init" : "", String(each.restarts), each.state]));
  const evidence = (end) => !end || !end.evidence.length ? null : table("Evidence", ["Source", "Name", "Reason", "Message"],
    end.evidence.map((each) => [each.source, each.name, each.reason, each.message]));
  function events(pod) {
    if (pod.events_error) return make("section", {}, make("h3", {}, "Events"), make("p", { class: "soft" }, pod.events_error));
    if (!pod.events.length) return null;
    return table("Events", ["Type", "Reason", "Last", "Message"], pod.events.map((each) => [each.type, each.reason,
      (each.at ? age(Date.parse(each.at) / 1000) + " ago" : "") + (each.count > 1 ? " ×" + each.count : ""), each.message]));
  }

  // Its log

  function logPane(pod) {
    const choice = make("select", { id: "container", "aria-label": "Container" }, ...pod.containers.map((each) => make("option", { value: each.name }, each.name)));
    choice.onchange = () => follow(pod.uid);
    const tail = make("button", { type: "button", id: "follow", "aria-pressed": "true", title: "f" }, "Follow");
    tail.onclick = toggle;
    return [make("section", {}, make("h3", {}, "Log"),
      make("div", { class: "bar" }, pod.containers.length > 1 ? choice : null, tail, make("span", { id: "logstate", class: "soft", role: "status" })),
      make("div", { id: "log", tabindex: 0, role: "log", "aria-label": "Log", "aria-live": "off" }))];
  }
  function toggle() {
    const button = at("follow");
    if (!button) return;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    toEnd();
  }
  const toEnd = () => { if (at("follow").getAttribute("aria-pressed") === "true") at("log").scrollTop = at("log").scrollHeight; };
  function follow(uid) {
    if (log) log.close();
    const pane = at("log"), choice = at("container"), status = at("logstate");
    let dropped = 0, count = 0;
    pane.replaceChildren();
    status.textContent = "reading…";
    const query = choice ? "?container=" + encodeURIComponent(choice.value) : "";
    const source = log = new EventSource("api/pods/" + encodeURIComponent(uid) + "/log" + query);
    source.addEventListener("lines", (event) => {
      const found = JSON.parse(event.data);
      count += found.length;
      pane.append(...found.map((text) => make("div", { class: text.startsWith("*** Log gap") ? "gap" : "" }, text)));
      while (pane.childElementCount > LOG_LINES) { pane.firstElementChild.remove(); dropped++; }
      status.textContent = count + " lines" + (dropped ? ", the first " + dropped + " not kept here" : "");
      toEnd();
    });
    const ended = (text) => {
      source.close();
      status.textContent = (count ? count + " lines" : "no lines") + (dropped ? ", the first " + dropped + " not kept here" : "") + ", " + text;
    };
    source.addEventListener("end", () => ended("complete"));
    source.addEventListener("failed", (event) => { pane.append(make("div", { class: "gap" }, JSON.parse(event.data).text)); ended("broken off"); });
    source.onerror = () => { // a new connection would begin anew, and lines would come twice
      if (source !== log || source.readyState === EventSource.CLOSED && status.textContent.endsWith("complete")) return;
      source.close();
      const again = make("button", { type: "button" }, "Read again");
      again.onclick = () => follow(uid);
      pane.append(make("div", { class: "gap" }, "The connection broke here. ", again));
      toEnd();
      ended("interrupted");
    };
  }

  // Pages and keys

  function route() {
    const found = /^#\/pod\/(.+)$/.exec(location.hash), before = opened;
    if (log) { log.close(); log = null; }
    opened = found ? decodeURIComponent(found[1]) : null;
    list.hidden = Boolean(opened);
    page.hidden = !opened;
    if (opened) { page.replaceChildren(back(), make("p", { class: "soft" }, "reading…")); scrollTo(0, 0); load(opened, false); }
    else { page.replaceChildren(); draw(); if (before) focusRow(before); }
  }
  function step(by) {
    const links = [...rows.querySelectorAll("a")], now = links.indexOf(document.activeElement);
    const next = links[now < 0 ? 0 : Math.max(0, Math.min(links.length - 1, now + by))];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape") {
      if (opened) location.hash = "#/"; else { search.value = ""; wanted.clear(); limit = PAGE; search.blur(); draw(); }
      return;
    }
    if (event.target === search && event.key === "ArrowDown") { event.preventDefault(); step(1); return; }
    if (event.target.closest("input, select")) return;
    const act = {
      "/": () => { if (opened) location.hash = "#/"; search.focus(); }, "?": () => help.showModal(), f: toggle,
      ...(opened ? {} : { j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1) }),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  at("keys").onclick = () => help.showModal();
  document.querySelector(".skip").onclick = (event) => { event.preventDefault(); at("content").focus(); };
  addEventListener("hashchange", route);
  connect();
  route();
})();
