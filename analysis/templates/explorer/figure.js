
// --- A figure: its controls and its rows ----------------------------------------------------

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Explore one figure in its place on the page.
function explore(figure, place) {
  let wished = {};
  const title = place.querySelector("h3").textContent;
  const controls = element("div", {
    class: "controls", role: "group", tabindex: "-1", "aria-label": `Choose what is shown: ${title}`,
  });
  const status = element("p", { class: "small", role: "status" });
  const shownRows = element("div", { class: "shown" });

  const wish = (change) => {
    wished = { ...wished, ...change };
    history.replaceState(null, "", fragment(figure.name, wished));
    render();
  };
  const render = () => {
    const state = settled(figure, wished);
    const rows = rowsOf(figure, state);
    keepingFocus(place, () => {
      controls.replaceChildren(...controlsOf(figure, state, rows, wished, wish));
      shownRows.replaceChildren(...tableOf(figure, state, rows, wish));
    });
    status.textContent = statusOf(figure, state, rows);
  };
  render(); // before it is on the page, so that no reader of screens is told of what nobody has changed
  place.querySelector("figcaption").before(element("div", { class: "explorer" }, controls, status, shownRows));
  return (asked) => {
    wished = asked;
    render();
  };
}

// What is replaced and had the focus has it again, and the cursor where it was.
function keepingFocus(place, replace) {
  const before = place.contains(document.activeElement) ? document.activeElement : null;
  const { key } = before?.dataset ?? {};
  const cursor = before?.selectionStart;
  replace();
  if (!key) return;
  const after = place.querySelector(`[data-key="${CSS.escape(key)}"]`);
  (after ?? place.querySelector(".controls")).focus(); // a button that has done its work is gone
  if (typeof cursor === "number") after?.setSelectionRange(cursor, cursor);
}

function controlsOf(figure, state, rows, wished, wish) {
  const { table, over } = state;
  const made = [];
  if (figure.tables.length > 1) {
    const offered = figure.tables.map((one) => [one.by, DATA.breakdowns[one.by] ?? one.by]);
    // Another breakdown has other groups: what was fixed among the old ones is not wished any more.
    made.push(select("Break down by", "by", offered, table.by, (by) =>
      wish({ by, over: undefined, find: undefined, rows: undefined, sort: undefined })));
  }
  if (state.comparable.length > 1) {
    const offered = state.comparable.map((column) => [column, heading(column)]);
    made.push(select("Compare", "over", offered, over, (column) =>
      wish({ over: column, find: undefined, rows: undefined, sort: undefined })));
  }
  for (const [column, value] of Object.entries(state.fixed)) {
    const offered = table.choices[column].map((one) => [one, named(figure, column, one)]);
    if (offered.length > 1) {
      made.push(select(heading(column), column, offered, value, (one) => wish({ [column]: one })));
    }
  }
  if (over === "scan_id" && table.choices.scan_id.length > 2) {
    const offered = table.choices.scan_id.map((one) => [one, named(figure, "scan_id", one)]);
    made.push(select("From", "from", offered, state.scans[0], (from) => wish({ from })));
    made.push(select("To", "to", offered, state.scans.at(-1), (to) => wish({ to })));
  }
  if (state.find || rows.length > figure.limit) {
    const field = element("input", {
      type: "search", value: state.find, "data-key": "find", autocomplete: "off", spellcheck: "false",
      input: (event) => wish({ find: event.target.value }),
    });
    made.push(element("label", {}, "Find", field));
  }
  return [...made, linksOf(figure, state, rows, wished, wish)];
}

function select(label, key, offered, value, change) {
  const options = offered.map(([one, text]) =>
    element("option", { value: one, selected: one === value }, text));
  const field = element("select", { "data-key": key, change: () => change(field.value) }, ...options);
  return element("label", {}, label, field);
}

function linksOf(figure, state, rows, wished, wish) {
  const { table } = state;
  const download = () => save(
    `${figure.name}-shown.csv`,
    csv(table.columns, rows.map((row) => table.columns.map((column) => table.cell(row, column)))),
  );
  const made = [
    element("button", { type: "button", "data-key": "csv", click: download }, "CSV of these rows"),
    element("a", { href: fragment(figure.name, wished), "data-key": "link" }, "Link to this view"),
  ];
  if (more(state).length) {
    const box = element("input", {
      type: "checkbox", checked: state.wide, "data-key": "columns",
      change: () => wish({ columns: box.checked ? "all" : undefined }),
    });
    made.push(element("label", { class: "tick" }, box, "All columns"));
  }
  if (Object.values(wished).some(Boolean)) {
    const back = () => wish(Object.fromEntries(Object.keys(wished).map((key) => [key, undefined])));
    made.push(element("button", { type: "button", "data-key": "back", click: back }, "Start again"));
  }
  return element("div", { class: "links" }, ...made);
}

function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // long enough to be asked where to
}

function statusOf(figure, state, rows) {
  const { table } = state;
  const said = [];
  const all = `sts-report ask ${figure.question} ARCHIVE --by ${table.by}`;
  if (!rows.length) said.push(state.find ? `Nothing here is called “${state.find}”.` : "There is no such row.");
  const groups = table.group ? table.choices[table.group].length : 1;
  if (groups < table.groups) {
    const name = DATA.breakdowns[table.by];
    said.push(
      `On this page are the ${whole(groups)} largest of ${whole(table.groups)} by ${name}; ${all} has them all.`,
    );
  }
  if (table.first) {
    said.push(table.group
      ? `Of each group the first ${whole(table.first)} rows are on this page; ${all} has them all.`
      : `The first ${whole(table.first)} are on this page; the CSV below has them all.`);
  }
  if (state.over === "scan_id" && DATA.older) {
    said.push(`The newest ${whole(SCANS.length)} scans are on this page; ${whole(DATA.older)} older ones are in the CSV below.`);
  }
  return said.join(" ");
}

// --- The rows -------------------------------------------------------------------------------

const USUAL = ["share", "low", "high", "n", "of_n"];

// Columns that are neither usual nor chosen with the controls.
function more({ table }) {
  return table.columns.filter((c) => !USUAL.includes(c) && !table.dimensions.includes(c));
}

function tableOf(figure, state, rows, wish) {
  if (!rows.length) return [];
  const { table, over } = state;
  const extra = state.wide ? more(state) : [];
  const whose = (row) => toneOf(figure, state, row);
  const skipped = (row) => over === figure.label && figure.skip.includes(table.text(row, over));
  const apart = (row) => figure.apart
    .filter((column) => over === figure.label && table.text(row, column))
    .map((column) => `, ${table.text(row, column)}`);
  const top = Math.max(...rows.filter((row) => !skipped(row)).map((row) => table.cell(row, "high") ?? 0)) || 1;
  const few = state.all || over === "scan_id" ? rows : rows.slice(0, figure.limit);
  const head = element("tr", {},
    header(over, heading(over), state, wish, ""),
    element("td", {}),
    header("share", "Share", state, wish, "number"),
    element("th", { scope: "col", class: "number" }, "95\u00a0%\u00a0interval"),
    header("n", "Count", state, wish, "number"),
    header("of_n", "Of", state, wish, "number"),
    ...extra.map((column) => header(column, heading(column), state, wish, numeric(table, column))),
  );
  const body = few.map((row) => element("tr", {},
    element("th", { scope: "row" }, nameOf(figure, over, table.text(row, over)), ...apart(row)),
    element("td", { class: "bar" }, ...(skipped(row) ? [] : [bar(table, row, top, whose(row))])),
    element("td", { class: "number share" }, tight(percent(table.cell(row, "share")))),
    element("td", { class: "number interval" }, tight(interval(table.cell(row, "low"), table.cell(row, "high")))),
    element("td", { class: "number n", "data-of": whole(table.cell(row, "of_n")) }, whole(table.cell(row, "n"))),
    element("td", { class: "number of" }, whole(table.cell(row, "of_n"))),
    ...extra.map((column) => element("td", { class: `${numeric(table, column)} extra`, "data-heading": heading(column) },
      tight(shown(table.kinds[column], table.cell(row, column))))),
  ));
  const made = element("div", { class: "scroll" },
    element("table", { class: "bars" }, element("thead", {}, head), element("tbody", {}, ...body)));
  return [
    ...(over === "scan_id" && rows.length > 1 ? [line(figure, state, rows, top)] : []),
    made,
    ...(few.length < rows.length ? [element("p", {}, element("button", {
      type: "button", "data-key": "rows", click: () => wish({ rows: "all" }),
    }, `Show all ${whole(rows.length)}`))] : []),
  ];
}

function numeric(table, column) {
  return table.kinds[column] === "text" ? "" : "number";
}

function tight(text) {
  return text.replace(" %", "\u00a0%");
}

function header(column, text, state, wish, kind) {
  const [up, down] = [column, `-${column}`];
  const way = own({ [up]: "ascending", [down]: "descending" }, state.sort);
  // Names from the first one, numbers from the largest; then the other way; then as it was.
  const [first, second] = state.table.kinds[column] === "text" ? [up, down] : [down, up];
  const next = new Map([[first, second], [second, undefined]]);
  const sort = () => wish({ sort: next.has(state.sort) ? next.get(state.sort) : first });
  return element("th", { scope: "col", class: kind || false, "aria-sort": way ?? false },
    element("button", { type: "button", "data-key": `sort:${column}`, click: sort }, text));
}

// A word of ours opens to what it means; a stranger's name is only a name.
function nameOf(figure, column, value) {
  const [label, meaning] = word(figure, column, value) ?? [];
  if (!meaning) return named(figure, column, value);
  return element("details", { class: "word" }, element("summary", {}, label), element("p", {}, meaning));
}

function toneOf(figure, { table }, row) {
  const value = table.columns.includes(figure.label) ? table.text(row, figure.label) : "";
  return word(figure, figure.label, value)?.[2] ?? figure.tone;
}

// The length of a bar is its share beside the largest on show.
function bar(table, row, top, tone) {
  const along = (column) => (100 * (table.cell(row, column) ?? 0)) / top;
  return drawn("svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { class: tone, width: Math.min(along("share"), 100), height: 14 }),
    drawn("line", { x1: along("low"), x2: Math.min(along("high"), 100), y1: 7, y2: 7 }));
}

const WIDTH = 640;
const HEIGHT = 190;

// One share over the scans; the table below has its numbers.
function line(figure, state, rows, top) {
  const { table } = state;
  const inOrder = [...rows].sort((a, b) =>
    SCANS.indexOf(table.text(a, "scan_id")) - SCANS.indexOf(table.text(b, "scan_id")));
  const known = inOrder.filter((row) => table.cell(row, "share") !== null);
  const x = (row) => 40 + ((WIDTH - 80) * inOrder.indexOf(row)) / (inOrder.length - 1);
  const y = (share) => HEIGHT - 30 - ((HEIGHT - 50) * share) / top;
  const tone = toneOf(figure, state, inOrder[0]);
  const scan = (row) => named(figure, "scan_id", table.text(row, "scan_id"));
  const dots = known.flatMap((row) => [
    drawn("line", { x1: x(row), x2: x(row), y1: y(table.cell(row, "low")), y2: y(table.cell(row, "high")) }),
    drawn("circle", { class: tone, cx: x(row), cy: y(table.cell(row, "share")), r: 4 },
      drawn("title", {}, `${scan(row)}: ${percent(table.cell(row, "share"))}`)),
  ]);
  const ends = [inOrder[0], inOrder.at(-1)].map((row, at) =>
    drawn("text", { x: at ? WIDTH - 2 : 2, y: HEIGHT - 8, "text-anchor": at ? "end" : "start" }, scan(row)));
  return drawn("svg", { class: "line", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    drawn("line", { class: "base", x1: 2, x2: WIDTH - 2, y1: y(0), y2: y(0) }),
    drawn("line", { class: "base", x1: 2, x2: WIDTH - 2, y1: y(top), y2: y(top) }),
    drawn("text", { x: 2, y: y(top) - 5 }, percent(top)),
    drawn("polyline", { class: tone, points: known.map((row) => `${x(row)},${y(table.cell(row, "share"))}`).join(" ") }),
    ...dots, ...ends);
}
