
// --- Somebody by name, beside everybody -----------------------------------------------------

const MATCHES = 12;
const EACH = 3; // of each breakdown, before anybody has typed

function lookUp(figure, place) {
  const everybody = figure.tables.find((table) => !table.group);
  const entries = figure.tables.filter((table) => table.group).flatMap((table) =>
    table.choices[table.group].filter(Boolean).map((name) => ({ table, name, lower: name.toLowerCase() })));
  let wished = {};

  const field = element("input", {
    type: "search", placeholder: "se, or a provider’s name", autocomplete: "off", spellcheck: "false", "data-key": "find",
    input: () => list(),
  });
  const matches = element("ul", { class: "matches" });
  const status = element("p", { class: "small", role: "status" });
  const card = element("div", { class: "card" });
  const list = () => {
    const sought = field.value.trim().toLowerCase().replace(/^\./, "");
    const some = sought ? matching(entries, sought) : largest(figure.tables, entries);
    matches.replaceChildren(...some.slice(0, MATCHES).map((entry) => element("li", {},
      element("button", {
        type: "button", "aria-pressed": String(entry.table.by === wished.by && entry.name === wished.name),
        click: () => choose(entry),
      }, entry.name, " ", element("span", { class: "kind" }, DATA.breakdowns[entry.table.by])))));
    status.textContent = sought ? saidOf(some.length, figure.tables) : "The largest; type for others.";
  };
  const choose = (entry) => {
    wished = { by: entry.table.by, name: entry.name };
    history.replaceState(null, "", fragment("look-up", wished));
    show(entry);
    card.querySelector("h3").focus();
  };
  const show = (entry) => {
    card.replaceChildren(...(entry ? cardOf(figure, everybody, entry) : []));
    list();
  };
  show();
  place.append(
    element("p", {}, element("label", { class: "look-up" }, "Name", field)), status, matches, card);
  return (asked) => {
    wished = asked;
    show(entries.find(({ table, name }) => table.by === asked.by && name === asked.name));
  };
}

// Those whose name begins so come first.
function matching(entries, sought) {
  const begin = entries.filter(({ lower }) => lower.startsWith(sought));
  return [...begin, ...entries.filter((entry) => !begin.includes(entry) && entry.lower.includes(sought))];
}

function largest(tables, entries) {
  // Classes such as "(no alias)" are nobody.
  const known = entries.filter(({ name }) => !name.startsWith("("));
  return tables.flatMap((table) => known.filter((entry) => entry.table === table).slice(0, EACH));
}

function saidOf(count, tables) {
  if (count > MATCHES) return `${whole(count)} match; the first ${MATCHES} are shown.`;
  if (count) return `${whole(count)} match${count === 1 ? "es" : ""}.`;
  const longer = tables.some((table) => table.group && table.choices[table.group].length < table.groups);
  return `Nobody on this page is called so.${longer ? " Only the largest are here; sts-report ask summary ARCHIVE --by … has all." : ""}`;
}

function cardOf(figure, everybody, { table, name }) {
  const scan = SCANS.at(-1);
  const before = table.choices.scan_id.length > 1 ? table.choices.scan_id[0] : null;
  const of = (where, id, measure) => where.rows.find((row) =>
    where.text(row, "scan_id") === id && where.text(row, "measure") === measure &&
    (!where.group || where.text(row, where.group) === name));
  const told = DATA.measures.map((measure) => ({
    measure,
    cells: [
      [table, of(table, scan, measure)],
      ...(before ? [[table, of(table, before, measure)]] : []),
      [everybody, of(everybody, scan, measure)],
    ],
  }));
  const titles = [name, ...(before ? [`${name}, ${named(figure, "scan_id", before)}`] : []), "Everybody"];
  return [
    element("h3", { tabindex: "-1" }, name, " ", element("span", { class: "kind" }, DATA.breakdowns[table.by])),
    element("div", { class: "scroll" }, element("table", { class: "beside" },
      element("thead", {}, element("tr", {}, element("td", {}),
        ...titles.map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, ...told.map(({ measure, cells }) => element("tr", {},
        element("th", { scope: "row" }, nameOf(figure, "measure", measure)),
        ...cells.map(([where, row], at) => numberOf(figure, where, row, titles[at]))))))),
  ];
}

function numberOf(figure, table, row, title) {
  if (!row || table.cell(row, "share") === null) return element("td", { "data-heading": title }, "-");
  const detail = `${whole(table.cell(row, "n"))} of ${whole(table.cell(row, "of_n"))} ${table.text(row, "of_what")}`;
  return element("td", { "data-heading": title },
    element("b", {}, tight(percent(table.cell(row, "share")))),
    bar(table, row, 1, toneOf(figure, { table }, row)),
    element("span", { class: "small" }, element("span", {}, detail), element("br"), element("span", { class: "whole" },
      `95\u00a0%: ${tight(interval(table.cell(row, "low"), table.cell(row, "high")))}`)));
}
