
// --- The page -------------------------------------------------------------------------------

const SHOW = {};
for (const figure of Object.values(FIGURES)) {
  const place = document.getElementById(figure.name);
  if (!place) continue;
  SHOW[figure.name] = figure.name === "look-up" ? lookUp(figure, place) : explore(figure, place);
}
for (const hidden of document.querySelectorAll("#look-up, nav li")) hidden.hidden = false;
document.documentElement.classList.add("live");

// An address with a state shows it; one without is an anchor, whose place has moved meanwhile.
function follow() {
  const { id, wished } = readFragment();
  if (wished !== undefined) own(SHOW, id)?.(wished);
  if (id) document.getElementById(id)?.scrollIntoView();
}
addEventListener("hashchange", follow);
follow();
