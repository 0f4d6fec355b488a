
// --- The data, and which rows of it are asked for ------------------------------------------

const DATA = JSON.parse(document.getElementById("data").textContent);
const DAYS = new Map(DATA.scans);
const SCANS = [...DAYS.keys()];

// Names were chosen by strangers, and one may be called "constructor".
function own(object, key) {
  return object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined;
}

// A table as analysis/explorer.py has packed it, and how to read a cell of it.
function opened(packed) {
  const place = Object.fromEntries(packed.columns.map((column, at) => [column, at]));
  const cell = (row, column) => {
    const value = row[place[column]];
    return packed.kinds[column] === "text" && value !== null ? packed.texts[column][value] : value;
  };
  // Null is a class as well, and has no other name.
  const text = (row, column) => cell(row, column) ?? "";
  const values = (column) => [...new Set(packed.rows.map((row) => text(row, column)))];
  const choices = Object.fromEntries(packed.dimensions.map((c) => [c, values(c)]));
  return { ...packed, cell, text, choices };
}

const FIGURES = Object.fromEntries(
  Object.entries({ ...DATA.figures, "look-up": DATA["look-up"] }).map(([name, figure]) => [
    name,
    { ...figure, name, tables: figure.tables.map(opened) },
  ]),
);

// What is asked of a figure: `by` a breakdown, compared `over` the values of one dimension, with one
// value for each other dimension.  Whatever is not wished, or not possible, is as the page opens.
function settled(figure, wished) {
  const table = figure.tables.find((one) => one.by === wished.by) ?? figure.tables[0];
  const comparable = table.dimensions.filter(
    (c) => c === figure.label || c === table.group || (c === "scan_id" && table.choices[c].length > 1),
  );
  const usual = table !== figure.tables[0] && table.group ? table.group : (figure.over ?? figure.label);
  const over = [wished.over, usual].find((c) => comparable.includes(c)) ?? comparable[0];
  // Rows of one label stand together, with what tells them apart behind their name.
  const open = (column) => over === figure.label && figure.apart.includes(column);
  const fixed = Object.fromEntries(
    table.dimensions.filter((c) => c !== over && !open(c)).map((c) => [c, chosen(figure, table, c, wished[c])]),
  );
  const scans = table.choices.scan_id;
  const from = Math.max(0, scans.indexOf(wished.from));
  const to = scans.indexOf(wished.to);
  return {
    table,
    comparable,
    over,
    fixed,
    scans: over === "scan_id" ? scans.slice(from, to < from ? undefined : to + 1) : scans,
    find: wished.find ?? "",
    sort: wished.sort ?? "",
    all: wished.rows === "all",
    wide: wished.columns === "all",
  };
}

function chosen(figure, table, column, wish) {
  const possible = table.choices[column];
  if (possible.includes(wish)) return wish;
  if (column === "scan_id") return possible.at(-1);
  const picked = own(figure.pick, column);
  if (possible.includes(picked)) return picked;
  return possible.find((value) => !figure.skip.includes(value)) ?? possible[0];
}

function rowsOf(figure, state) {
  const { table, over, fixed } = state;
  const sought = state.find.trim().toLowerCase();
  const rows = table.rows.filter(
    (row) =>
      Object.entries(fixed).every(([column, value]) => table.text(row, column) === value) &&
      (over !== "scan_id" || state.scans.includes(table.text(row, over))) &&
      (!sought || found(figure, over, table.text(row, over), sought)),
  );
  return sorted(rows, state);
}

function found(figure, column, value, sought) {
  return [value, named(figure, column, value)].some((name) => name.toLowerCase().includes(sought));
}

// A wish such as "share" or "-share"; without one the rows stay as the query has ordered them.
function sorted(rows, { table, sort }) {
  const column = sort.replace(/^-/, "");
  if (!table.columns.includes(column)) return rows;
  const way = sort.startsWith("-") ? -1 : 1;
  const key = (row) => table.cell(row, column);
  return [...rows].sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    return way * (typeof left === "string" ? left.localeCompare(right, "en") : left - right);
  });
}

// --- Names ----------------------------------------------------------------------------------

function word(figure, column, value) {
  return own(own(DATA.words, column === figure.label ? figure.words : column), value);
}

function named(figure, column, value) {
  if (column === "scan_id") {
    const day = DAYS.get(value) ?? value;
    return SCANS.filter((scan) => DAYS.get(scan) === day).length > 1 ? value : day;
  }
  return word(figure, column, value)?.[0] ?? (value || "-");
}

function heading(column) {
  const text = own(DATA.headings, column) ?? column;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// --- The state in the address ---------------------------------------------------------------

function readFragment() {
  const [id, query] = location.hash.slice(1).split("?", 2);
  return { id, wished: query && Object.fromEntries(new URLSearchParams(query)) };
}

function fragment(name, wished) {
  const query = String(new URLSearchParams(Object.entries(wished).filter(([, value]) => value)));
  return query ? `#${name}?${query}` : `#${name}`;
}
