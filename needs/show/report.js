"use strict";
// Makes the page of a territory or a sector, the table of lots and the search, from what the report carries. Nothing is fetched.
(function () {
  const told = JSON.parse(document.getElementById("pages").textContent);
  const { say, words, territories, sectors, courses, cells, ranks, lots, grades } = told;
  const SHOWN = 25;
  const SVG = "http://www.w3.org/2000/svg";
  const number = (digits) => new Intl.NumberFormat(told.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const [whole, tenth] = [number(0), number(1)];
  const money = new Intl.NumberFormat(told.language, { style: "currency", currency: "EUR", maximumFractionDigits: 0 });
  const share = new Intl.NumberFormat(told.language, { style: "percent", maximumFractionDigits: 0 });
  const known = (value) => value !== null && value !== undefined;
  const minus = (text) => (/^-[0.,\s%]*$/.test(text) ? text.slice(1) : text.replace(/^-/, "−"));
  const written = (value, how) => (known(value) ? minus(how.format(value)) : "–");
  const points = (value) => written(known(value) ? value * 100 : null, tenth);
  const range = (low, high, how) => (known(low) && known(high) ? how(low) + " – " + how(high) : "");
  const fine = (value) => written(value, Math.abs(value) < 100 ? tenth : whole);
  const letter = (place) => "ABCD"[place];

  function node(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) if (known(value)) made.setAttribute(key, value);
    made.append(...children.filter(known));
    return made;
  }

  function drawn(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function estimate(value, low, high, how) {
    const bounds = range(low, high, how);
    return node("span", {}, node("strong", {}, how(value)), bounds ? node("span", { class: "quiet line" }, bounds) : null);
  }

  // The past as a thin line, the months bought for as a thick one; both lie on one scale that begins at zero.
  function sparkline(behind, ahead, wide) {
    const past = behind || [], next = ahead || [], all = [...past, ...next];
    if (!all.length) return node("span", { class: "quiet" }, "–");
    const [width, height, top] = [wide ? 360 : 120, wide ? 70 : 22, Math.max(...all) || 1];
    const at = (value, place) => (place * width / Math.max(all.length - 1, 1)).toFixed(1) + "," + (height - 2 - (height - 4) * value / top).toFixed(1);
    const label = [past.length ? say.trend_past + " " + fine(Math.min(...past)) + " – " + fine(Math.max(...past)) : "",
      next.length ? say.trend_next + " " + fine(Math.min(...next)) + " – " + fine(Math.max(...next)) : ""].filter(Boolean).join(" ; ");
    const svg = drawn("svg", { class: wide ? "spark wide" : "spark", viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": label });
    if (past.length) svg.append(drawn("polyline", { class: "past", points: past.map(at).join(" ") }));
    if (next.length) svg.append(drawn("polyline", { points: next.map((value, place) => at(value, place + past.length)).join(" ") }));
    return svg;
  }

  const plain = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();

  // A table whose columns sort and whose rows are searched. Columns: title, cell (row → node or text), order (row → value), number.
  function table(title, columns, rows, options) {
    const settings = { order: null, down: false, all: false, text: "", ...options };
    const count = node("span", { class: "quiet", role: "status" });
    const field = node("input", { type: "search", id: title + "-filter", autocomplete: "off" });
    const more = node("button", { type: "button", class: "more" }, say.show_all);
    const body = node("tbody", { role: "rowgroup" });
    const heads = columns.map((column, place) => {
      const button = node("button", { type: "button" }, column.title);
      const head = node("th", { scope: "col", role: "columnheader", class: column.number ? "number" : null }, column.order ? button : column.title);
      button.addEventListener("click", () => {
        settings.down = settings.order === place ? !settings.down : Boolean(column.number);
        settings.order = place;
        show();
      });
      return head;
    });
    const texts = new Map();
    const textOf = (row) => {
      if (!texts.has(row)) texts.set(row, plain(columns.map((column) => { const cell = column.cell(row); return cell.textContent || String(cell); }).join(" ")));
      return texts.get(row);
    };
    function sorted(kept) {
      if (settings.order === null) return kept;
      const by = columns[settings.order].order;
      const sign = settings.down ? -1 : 1;
      return [...kept].sort((one, other) => {
        const [a, b] = [by(one), by(other)];
        if (!known(a) || !known(b)) return known(a) ? -1 : known(b) ? 1 : 0;
        return sign * (typeof a === "string" ? a.localeCompare(b, told.language) : a - b);
      });
    }
    function show() {
      const kept = sorted(settings.text ? rows.filter((row) => plain(settings.text).split(/\s+/).every((word) => textOf(row).includes(word))) : rows);
      const shown = settings.all ? kept : kept.slice(0, SHOWN);
      body.replaceChildren(...shown.map((row) => node("tr", { role: "row" }, ...columns.map((column, place) => node(place ? "td" : "th",
        { scope: place ? null : "row", role: place ? "cell" : "rowheader", class: column.number ? "number" : null, "data-title": place ? column.title : null }, column.cell(row))))));
      heads.forEach((head, place) => {
        if (place === settings.order) head.setAttribute("aria-sort", settings.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      count.textContent = whole.format(shown.length) + " / " + whole.format(kept.length);
      more.hidden = shown.length === kept.length;
    }
    field.addEventListener("input", () => { settings.text = field.value; show(); });
    more.addEventListener("click", () => { settings.all = true; show(); });
    show();
    const tools = node("p", { class: "tools" }, node("label", { for: title + "-filter" }, say.filter), " ", field, " ", count);
    const scroll = node("div", { class: "scroll", role: "group", tabindex: "0", "aria-labelledby": title });
    scroll.append(node("table", { class: "sortable cards", role: "table", "aria-labelledby": title }, node("thead", { role: "rowgroup" }, node("tr", { role: "row" }, ...heads)), body));
    return [tools, scroll, more];
  }

  const rowsOf = (columns) => columns.t.map((_, place) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[place]])));
  const [allCells, allRanks, allLots] = [cells, ranks, lots].map(rowsOf);
  const named = (kind, place) => (kind === "t" ? territories : sectors)[place];
  const link = (kind, place) => node("a", { href: "#" + kind + "-" + named(kind, place)[0] }, named(kind, place)[1]);
  const word = (place) => (known(place) ? words[place] : "");
  const grade = (place) => (known(place) ? node("span", { class: "badge" }, grades[letter(place)]) : "–");

  function needColumns(other) {
    return [
      { title: other === "t" ? say.territory : say.sector, cell: (row) => link(other, row[other]), order: (row) => named(other, row[other])[1] },
      { title: say.trend, cell: (row) => sparkline(row.behind, row.ahead) },
      { title: say.need, cell: (row) => estimate(row.need, row.need_low, row.need_high, fine), order: (row) => row.need, number: true },
      { title: say.supply, cell: (row) => fine(row.supply), order: (row) => row.supply, number: true },
      { title: say.under_way, cell: (row) => fine(row.under_way), order: (row) => row.under_way, number: true },
      { title: say.gap, cell: (row) => estimate(row.gap, row.gap_low, row.gap_high, fine), order: (row) => row.gap, number: true },
      { title: say.solvable, cell: (row) => written(row.solvable, share), order: (row) => row.solvable, number: true },
      { title: say.causes, cell: (row) => word(row.causes), order: (row) => word(row.causes) },
      { title: say.apart, cell: (row) => written(row.apart, share), order: (row) => row.apart, number: true },
      { title: say.grade, cell: (row) => grade(row.grade), order: (row) => row.grade },
    ];
  }

  function outcome(row) {
    if (!known(row.rate)) return "–";
    const about = [say.n + " " + whole.format(row.rate_n), row.of_region ? say.of_region : ""].filter(Boolean).join(", ");
    return node("span", {}, share.format(row.rate), node("span", { class: "quiet line" }, range(row.rate_low, row.rate_high, (value) => written(value, share))), node("span", { class: "quiet line" }, about));
  }

  function added(row) {
    if (!known(row.effect)) return "–";
    return node("span", {}, node("strong", {}, points(row.effect)), node("span", { class: "quiet line" }, range(row.effect_low, row.effect_high, points)),
      node("span", { class: "quiet line" }, say.raw + " " + written(row.raw, share)), node("span", { class: "quiet line" }, say.n + " " + written(row.effect_n, whole)));
  }

  function rankColumns(other) {
    return [
      { title: (other === "t" ? say.territory : say.sector) + ", " + say.training.toLowerCase(), cell: (row) => node("span", {}, link(other, row[other]), node("span", { class: "line" }, word(row.type) + (known(row.level) ? ", " + say.level + " " + word(row.level) : ""))), order: (row) => named(other, row[other])[1] },
      { title: say.rank, cell: (row) => whole.format(row.rank), order: (row) => row.rank, number: true },
      { title: say.cost, cell: (row) => written(row.cost, money), order: (row) => row.cost, number: true },
      { title: say.worth, cell: (row) => estimate(row.value, row.low, row.high, points), order: (row) => row.value, number: true },
      { title: say.effect, cell: added, order: (row) => row.effect, number: true },
      { title: say.outcome, cell: outcome, order: (row) => row.rate, number: true },
      { title: say.stability, cell: (row) => node("span", {}, written(row.stability, share), node("span", { class: "line" }, grade(row.grade))), order: (row) => row.stability, number: true },
      { title: say.reasons, cell: (row) => node("span", { class: "told" }, word(row.reasons), row.caveats === null ? null : node("span", { class: "line quiet" }, say.caveats + " : " + word(row.caveats))) },
      { title: say.bought, cell: (row) => (row.places ? whole.format(row.places) : word(row.why) || "–"), order: (row) => row.places, number: true },
    ];
  }

  const titles = new Map(courses.map(([code, title]) => [code, title]));
  function lotColumns(kind) {
    const columns = [
      { title: say.training, cell: (row) => node("span", {}, node("strong", {}, titles.get(row.formacode) || row.formacode), node("span", { class: "quiet line" }, word(row.type) + (row.level ? ", " + say.level + " " + row.level : "") + " · " + row.lot_id)), order: (row) => titles.get(row.formacode) || "" },
      kind === "t" ? null : { title: say.territory, cell: (row) => link("t", row.t), order: (row) => territories[row.t][1] },
      kind === "s" ? null : { title: say.sector, cell: (row) => link("s", row.s), order: (row) => sectors[row.s][1] },
      { title: say.envelope + ", " + say.public.toLowerCase(), cell: (row) => node("span", {}, row.envelope || "–", node("span", { class: "quiet line" }, word(row.public))), order: (row) => row.envelope + " " + word(row.public) },
      { title: say.places, cell: (row) => whole.format(row.places), order: (row) => row.places, number: true },
      { title: say.money, cell: (row) => money.format(row.cents / 100), order: (row) => row.cents, number: true },
      { title: say.jobs, cell: (row) => estimate(row.value, row.low, row.high, (value) => written(value, tenth)), order: (row) => row.value, number: true },
      { title: say.stability, cell: (row) => written(row.stability, share), order: (row) => row.stability, number: true },
      { title: say.grade, cell: (row) => grade(row.grade), order: (row) => row.grade },
      { title: say.why, cell: (row) => word(row.why) + (row.human ? " · " + say.human : "") },
    ];
    return columns.filter(Boolean);
  }

  function facts(pairs) {
    return node("dl", { class: "facts" }, ...pairs.filter(([, value]) => known(value)).map(([title, value]) => node("div", {}, node("dt", {}, title), node("dd", {}, value))));
  }

  const summed = (rows, name) => rows.reduce((sum, row) => sum + (row[name] || 0), 0);
  const byMonth = (rows, name) => rows.reduce((sums, row) => (row[name] ? row[name].map((value, place) => value + (sums[place] || 0)) : sums), []);

  function page(kind, place) {
    const other = kind === "t" ? "s" : "t", [code, title, house, need, low, high] = named(kind, place);
    const [own, options, bought] = [allCells, allRanks, allLots].map((rows) => rows.filter((row) => row[kind] === place));
    const total = kind === "t" && known(need) ? estimate(need, low, high, fine) : estimate(summed(own, "need"), null, null, fine);
    const heading = node("h3", { id: "sheet-title", tabindex: "-1" }, title + " ", node("span", { class: "quiet" }, code));
    const print = node("button", { type: "button", class: "more" }, say.print);
    print.addEventListener("click", () => { document.body.classList.add("alone"); window.print(); document.body.classList.remove("alone"); });
    const parts = [heading, house ? node("p", { class: "quiet" }, say.house + " " + house) : null,
      facts([[say.need_whole, total], [say.gap_open, fine(own.reduce((sum, row) => sum + Math.max(row.gap || 0, 0), 0))],
        [say.places, whole.format(summed(bought, "places"))], [say.money, money.format(summed(bought, "cents") / 100)],
        [say.jobs, tenth.format(summed(bought, "value"))]]),
      sparkline(byMonth(own, "behind"), byMonth(own, "ahead"), true), node("p", { class: "quiet" }, say.trend_how)];
    const named_ = (id, text) => node("h4", { id: "sheet-" + id }, text);
    const section = (id, text, lede, columns, rows, options) => rows.length && parts.push(named_(id, text), node("p", {}, lede), ...table("sheet-" + id, columns, rows, options));
    section("lots", say.lots, say.lots_lede, lotColumns(kind), bought);
    section("needs", say.needs, say.needs_lede, needColumns(other), own, { order: 5, down: true });
    section("ranks", say.ranks, say.ranks_lede, rankColumns(other), options, { order: kind === "t" ? 2 : 3 });
    if (!own.length && !options.length) parts.push(node("p", {}, say.nothing));
    document.getElementById("sheet").replaceChildren(...parts.filter(known), print);
    for (const one of ["t", "s"]) document.getElementById("choose-" + one).value = one === kind ? code : "";
    return heading;
  }

  function follow(focus) {
    const asked = /^#([ts])-(\w+)$/.exec(location.hash);
    if (!asked) return;
    const place = (asked[1] === "t" ? territories : sectors).findIndex(([code]) => code === asked[2]);
    if (place < 0) return;
    const heading = page(asked[1], place);
    document.getElementById("pages-section").scrollIntoView();
    if (focus) heading.focus({ preventScroll: true });
  }

  function choices(kind, list) {
    const select = document.getElementById("choose-" + kind);
    const sorted = [...list].sort((one, other) => one[1].localeCompare(other[1], told.language));
    select.append(...sorted.map(([code, title]) => node("option", { value: code }, title)));
    select.addEventListener("change", () => { if (select.value) location.hash = kind + "-" + select.value; });
  }

  function searching() {
    const field = document.getElementById("search"), found = document.getElementById("found");
    const index = [...territories.map((row) => [row[0], row[1], "t-" + row[0], say.territory]), ...sectors.map((row) => [row[0], row[1], "s-" + row[0], say.sector]),
      ...courses.map(([code, title, sector]) => [code, title, "s-" + sectors[sector][0], say.training])].map((row) => [...row, plain(row[0] + " " + row[1])]);
    field.addEventListener("input", () => {
      const asked = plain(field.value.trim()).split(/\s+/).filter(Boolean);
      const hits = asked.length ? index.filter((row) => asked.every((one) => row[4].includes(one))) : [];
      found.replaceChildren(...hits.slice(0, 12).map(([code, title, target, kind]) => node("li", {}, node("a", { href: "#" + target }, title), " ", node("span", { class: "quiet" }, kind + " " + code))));
      document.getElementById("found-count").textContent = asked.length ? whole.format(hits.length) + " " + say.found : "";
    });
  }

  document.querySelectorAll(".needs-script").forEach((part) => { part.hidden = false; });
  document.querySelectorAll(".without-script").forEach((part) => part.remove());
  choices("t", territories);
  choices("s", sectors);
  searching();
  if (allLots.length) document.getElementById("all-lots").append(...table("lots", lotColumns(), allLots));
  document.querySelectorAll("[data-territory]").forEach((part) => part.addEventListener("click", () => { location.hash = "t-" + part.dataset.territory; }));
  window.addEventListener("hashchange", () => follow(true));
  // Without a choice, the territory that lacks most people.
  const lacking = territories.map((_, place) => [place, summed(allCells.filter((row) => row.t === place && row.gap > 0), "gap")]);
  if (territories.length) { page("t", lacking.sort((one, other) => other[1] - one[1])[0][0]); follow(false); }
})();
