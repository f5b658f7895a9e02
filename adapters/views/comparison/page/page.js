"use strict";
(async () => {
  const at = (id) => document.getElementById(id);
  const ROW = 34, HEAT_ROW = 26, LONG = 1500;

  // packed JSON in the page -> value
  const unpack = async (id) => {
    const block = at(id);
    if (!block) return null;
    const raw = Uint8Array.from(atob(block.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };
  // text only: nothing that a model wrote is ever read as markup
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const mean = (scores) => {
    const known = scores.filter((score) => score !== null);
    return known.length ? known.reduce((sum, score) => sum + score, 0) / known.length : null;
  };
  const percent = (value) => value === null ? "–" : `${Math.round(100 * value)} %`;

  const data = await unpack("index");
  const means = data.scores.map((tasks) => tasks.map(mean));
  const pieces = new Map();
  const conversation = async (task) => {
    const number = Math.floor(task / data.piece);
    if (!pieces.has(number)) {
      if (pieces.size > 24) pieces.delete(pieces.keys().next().value);
      pieces.set(number, unpack(`piece-${number}`));
    }
    const piece = await pieces.get(number);
    return piece && piece[task % data.piece];
  };

  // -- heat map ---------------------------------------------------------------------------
  const order = data.tasks.map((_, task) => task);
  const ease = order.map((task) => {
    const known = means.map((arm) => arm[task]).filter((value) => value !== null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : -1;
  });
  order.sort((x, y) => ease[y] - ease[x] || x - y);
  const heat = at("heat");
  const colour = (name) => {
    const probe = make("span");
    probe.style.color = getComputedStyle(document.documentElement).getPropertyValue(name);
    document.body.append(probe);
    const found = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    probe.remove();
    return found;
  };
  const paint = () => {
    const arms = means.length, tasks = Math.max(order.length, 1);
    heat.width = tasks;
    heat.height = arms * 2;
    heat.style.height = `${arms * HEAT_ROW}px`;
    const brush = heat.getContext("2d");
    const image = brush.createImageData(tasks, arms * 2);
    const wrong = colour("--wrong"), right = colour("--right"), none = colour("--none");
    means.forEach((arm, row) => order.forEach((task, column) => {
      const value = arm[task];
      const mixed = value === null ? none : wrong.map((from, part) => from + (right[part] - from) * value);
      for (const line of [2 * row, 2 * row + 1]) {
        const place = 4 * (line * tasks + column);
        image.data.set([mixed[0], mixed[1], mixed[2], 255], place);
      }
    }));
    brush.putImageData(image, 0, 0);
  };
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  const under = (event) => {
    const box = heat.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / box.width * order.length);
    return order[Math.min(Math.max(column, 0), order.length - 1)];
  };
  heat.addEventListener("pointermove", (event) => {
    const task = under(event);
    if (task === undefined) return;
    at("about").textContent = `${data.tasks[task]}: ` +
      data.arms.map((arm, place) => `${arm.name} ${percent(means[place][task])}`).join(", ");
  });
  heat.addEventListener("click", (event) => {
    const task = under(event);
    if (task !== undefined) open(task).then(() => at("task").scrollIntoView({ block: "nearest" }));
  });

  // -- which tasks ------------------------------------------------------------------------
  const option = (select, value, text) => {
    const node = make("option", "", text);
    node.value = value;
    select.append(node);
  };
  const a = at("a"), b = at("b"), which = at("which"), kind = at("kind"), find = at("find");
  data.arms.forEach((arm, place) => [a, b].forEach((select) => option(select, place, arm.name)));
  b.value = Math.min(1, data.arms.length - 1);
  if (data.kinds.length) {
    at("kinds").hidden = false;
    option(kind, "", "all");
    data.kinds.forEach((name, place) => option(kind, place, name));
  }
  const WANTED = {
    differ: (x, y) => x !== null && y !== null && x !== y,
    a: (x, y) => x !== null && y !== null && x > y,
    b: (x, y) => x !== null && y !== null && x < y,
    wrong: (x, y) => x === 0 && y === 0,
    failed: (x, y, left, right) => left.includes(null) || right.includes(null),
    all: () => true,
  };
  let shown = [], chosen = null, repeat = 0;
  const filter = () => {
    const left = +a.value, right = +b.value, text = find.value.trim().toLowerCase();
    shown = data.tasks.map((_, task) => task).filter((task) =>
      WANTED[which.value](means[left][task], means[right][task],
                          data.scores[left][task], data.scores[right][task])
      && (!kind.value || data.kind[task] === +kind.value)
      && (!text || data.tasks[task].toLowerCase().includes(text)));
    at("count").textContent = `${shown.length.toLocaleString("en")} of ${data.tasks.length.toLocaleString("en")} tasks`;
    at("room").style.height = `${shown.length * ROW}px`;
    at("list").scrollTop = 0;
    draw();
  };

  // -- the list: only the rows in sight exist ---------------------------------------------
  const chip = (arm, task) => {
    const value = means[arm][task];
    const kind = value === null ? "none" : value >= 0.5 ? "right" : "";
    const found = make("span", `chip ${kind}`, percent(value));
    if (value > 0 && value < 1) {
      found.style.background = `color-mix(in srgb, var(--right) ${Math.round(100 * value)}%, var(--wrong))`;
    }
    return found;
  };
  const draw = () => {
    const list = at("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 9);
    const rows = at("rows");
    rows.style.top = `${first * ROW}px`;
    rows.replaceChildren(...shown.slice(first, last).map((task) => {
      const row = make("div", "row");
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", task === chosen);
      row.dataset.task = task;
      row.append(make("span", "id", data.tasks[task]), chip(+a.value, task), chip(+b.value, task));
      return row;
    }));
    if (!shown.length) rows.append(make("p", "empty row", "no such task"));
  };
  at("list").addEventListener("scroll", () => requestAnimationFrame(draw));
  addEventListener("resize", () => requestAnimationFrame(draw));
  at("rows").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row && row.dataset.task) open(+row.dataset.task);
  });
  at("list").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !shown.length) return;
    event.preventDefault();
    const place = Math.min(Math.max(shown.indexOf(chosen) + step, 0), shown.length - 1);
    const list = at("list");
    list.scrollTop = Math.min(Math.max(list.scrollTop, (place + 1) * ROW - list.clientHeight), place * ROW);
    open(shown[place]);
  });

  // -- one task, both sides ---------------------------------------------------------------
  const long = (name, text) => {
    const box = make("div"), said = make("div", name, text);
    box.append(said);
    if (text.length > LONG) {
      said.textContent = `${text.slice(0, LONG)} …`;
      const more = make("button", "more", `show all ${text.length.toLocaleString("en")} characters`);
      more.type = "button";
      more.addEventListener("click", () => { said.textContent = text; more.remove(); });
      box.append(more);
    }
    return box;
  };
  const side = (arm, episode) => {
    const box = make("div", "side"), head = make("header");
    head.append(make("b", `number arm${arm % 8}`, arm + 1), ` ${data.arms[arm].name}`);
    box.append(head);
    if (!episode) {
      box.append(make("p", "empty", "not run"));
      return box;
    }
    const verdict = episode.score === null ? `failed: ${episode.failure}` : `score ${+episode.score.toFixed(3)}`;
    const facts = [verdict, episode.end, `${episode.tokens.toLocaleString("en")} tokens`,
                   `${+episode.usd.toPrecision(3)} USD`, `${episode.seconds.toFixed(1)} s`];
    head.append(make("span", "facts", facts.filter(Boolean).join(" · ")));
    box.append(make("div", "answer", episode.answer === null ? "no answer" : `answer: ${episode.answer}`));
    if (episode.why) box.append(make("div", "facts", episode.why));
    for (const [role, text, calls] of episode.messages) {
      const turn = make("div", `turn ${role === "tool" ? "tool" : ""}`);
      if (role === "system") {  // the same for every episode: closed until it is wanted
        const prompt = make("details");
        prompt.append(make("summary", "", "system"), long("said", text));
        turn.append(prompt);
        box.append(turn);
        continue;
      }
      turn.append(make("div", "role", role));
      if (text) turn.append(long("said", text));
      for (const [name, given] of calls) turn.append(long("call", `${name}(${given})`));
      box.append(turn);
    }
    return box;
  };
  const open = async (task) => {
    chosen = task;
    draw();
    const found = await conversation(task);
    if (chosen !== task) return;
    const pane = at("task");
    const label = data.kinds.length ? ` · ${data.kinds[data.kind[task]]}` : "";
    pane.replaceChildren(make("h3", "", data.tasks[task] + label));
    if (!found) {
      pane.append(make("p", "empty", "its conversations found no room in this page"));
      return;
    }
    pane.append(make("div", "prompt", found.prompt));
    const repeats = data.scores[0][task].length;
    repeat = Math.min(repeat, repeats - 1);
    const sides = make("div", "sides"), tabs = make("div", "tabs");
    const fill = () => {
      sides.replaceChildren(...[+a.value, +b.value].map((arm) => side(arm, found.arms[arm][repeat])));
      [...tabs.children].forEach((tab, place) => tab.setAttribute("aria-pressed", place === repeat));
    };
    for (let place = 0; repeats > 1 && place < repeats; place++) {
      const tab = make("button", "", `repeat ${place + 1}`);
      tab.type = "button";
      tab.addEventListener("click", () => { repeat = place; fill(); });
      tabs.append(tab);
    }
    pane.append(tabs, sides);
    fill();
  };
  const change = () => {
    filter();
    const task = shown.includes(chosen) ? chosen : shown[0];
    if (task !== undefined) open(task);
    else at("task").replaceChildren(make("p", "empty", "Nothing to show: no task is like this."));
  };
  [a, b, which, kind, find].forEach((control) => control.addEventListener("input", change));
  document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
  change();
  document.documentElement.dataset.ready = "yes";
})();
