"use strict";

// --- Numbers and rows as text -------------------------------------------------------------
// They read as on the page that runs no script (analysis/tables.py): the same digits, rounded the
// same way.  Nothing here computes a share; it only writes one.

// The digits of a number, cut to so many, half to even; the number is d.ddd times ten to the power.
function rounded(digits, power, keep) {
  if (digits.length <= keep) return { digits, power };
  const tail = digits.slice(keep);
  const half = "5".padEnd(tail.length, "0");
  const head = Number(digits.slice(0, keep));
  const grown = String(head + Number(tail > half || (tail === half && head % 2 === 1)));
  return { digits: grown, power: power + grown.length - keep };
}

function percent(share) {
  if (share === null) return "-";
  if (share < 0) return `-${percent(-share)}`;
  if (share === 0) return "0 %";
  if (share === 1) return "100 %";
  if (share > 0.999) return "99.9 %"; // 99.97 % must not read as 100.0 %
  // The shortest digits that mean this number: what a person would round.
  const [mantissa, exponent] = share.toExponential().split("e");
  const points = Number(exponent) + 2;
  const { digits, power } = rounded(mantissa.replace(".", ""), points, points < 0 ? 2 : points + 2);
  const whole = power < 0 ? "0" : digits.slice(0, power + 1).padEnd(power + 1, "0");
  const rest = power < 0 ? "0".repeat(-power - 1) + digits : digits.slice(power + 1);
  if (points >= 0) return `${whole}.${rest.padEnd(1, "0")} %`;
  const trimmed = rest.replace(/0+$/, "");
  return trimmed ? `${whole}.${trimmed} %` : `${whole} %`;
}

function interval(low, high) {
  return low === null ? "" : `${percent(low).replace(" %", "")}–${percent(high)}`;
}

function whole(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

function shown(kind, value) {
  if (value === null) return "-";
  if (kind === "share") return percent(value);
  return Number.isInteger(value) ? whole(value) : String(value);
}

// RFC 4180, lines end in LF.  What a spreadsheet would take for a formula gets a quote before it.
function csvCell(value) {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv(columns, rows) {
  return [columns, ...rows].map((cells) => `${cells.map(csvCell).join(",")}\n`).join("");
}
