// Asks for news every two seconds and reloads the report when something changed. Keeps the reader's
// place: the scroll position, the epoch of the slider, what was unfolded, and the keyboard focus.
"use strict";

const EVERY_MS = 2000;
const report = document.getElementById("report");
const now = document.getElementById("now");
// What the report was when the frame was served; it may have changed before the first news.
let seen = document.documentElement.dataset.token;

function words(news) {
  const epoch = news.epoch === null ? "" : ` ${news.epoch}/${news.epochs}`;
  const left = news.left === null ? "" : `, ${news.left} left`;
  const failure = news.failure === null ? "" : `: ${news.failure}`;
  return `${news.word}${epoch}${left}${failure}`;
}

// Details have no names of their own; their summaries tell them apart, and regions that scroll their labels.
const summaryOf = (details) => details.querySelector("summary")?.textContent;
const regionsOf = (page) => [...page.querySelectorAll("[role=region][aria-label]")];

// The last section that begins above the window: what is above it may grow.
const topOf = (section) => section.getBoundingClientRect().top;
const sectionOf = (page) => [...page.querySelectorAll("section[id]")].findLast((section) => topOf(section) <= 1);

function place() {
  const { document: page, scrollY } = report.contentWindow;
  const slider = page.getElementById("epoch");
  const section = sectionOf(page);
  return {
    scrollY,
    section: section?.id,
    above: section && topOf(section),
    // Somebody at the end wants to see the newest.
    epoch: slider && slider.value !== slider.max ? slider.value : null,
    plays: page.querySelector(".play")?.getAttribute("aria-label") === "Pause",
    open: [...page.querySelectorAll("details[open]")].map(summaryOf),
    aside: regionsOf(page).filter((region) => region.scrollLeft).map((region) => [region.ariaLabel, region.scrollLeft]),
    focus: page.activeElement?.id,
  };
}

function takeUp(left) {
  const { document: page } = report.contentWindow;
  for (const details of page.querySelectorAll("details")) details.open ||= left.open.includes(summaryOf(details));
  const slider = page.getElementById("epoch");
  if (slider && left.epoch !== null) {
    slider.value = left.epoch;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    if (left.plays) page.querySelector(".play").click();
  }
  const aside = new Map(left.aside);
  for (const region of regionsOf(page)) region.scrollLeft = aside.get(region.ariaLabel) ?? 0;
  if (left.focus) page.getElementById(left.focus)?.focus({ preventScroll: true });
  const section = page.getElementById(left.section);
  const top = section ? report.contentWindow.scrollY + topOf(section) - left.above : left.scrollY;
  // At once: the page itself scrolls smoothly, from its top.
  report.contentWindow.scrollTo({ top, behavior: "instant" });
}

function reload() {
  let left;
  try {
    left = place();
  } catch {
    // Where the server did not answer there is a page of the browser's own, in which nobody may look.
    report.src = "/report.html";
    return;
  }
  report.addEventListener("load", () => takeUp(left), { once: true });
  // The browser would take the place up too, after this and in another way.
  report.contentWindow.history.scrollRestoration = "manual";
  report.contentWindow.location.reload();
}

// The report's button chooses for both.
function theme() {
  let chosen = null;
  // Where nothing may be stored the choice is the report's alone.
  try { chosen = localStorage.getItem("da2s-theme"); } catch { /* the system's */ }
  document.documentElement.dataset.theme = chosen ?? "";
}

async function look() {
  try {
    const answer = await fetch("/news");
    if (!answer.ok) throw new Error(await answer.text());
    const news = await answer.json();
    document.getElementById("name").textContent = news.name;
    document.title = `${news.name} · da2s watch`;
    now.textContent = words(news);
    now.className = news.failure === null ? "" : "lost";
    if (seen !== news.token) reload();
    seen = news.token;
  } catch (error) {
    now.textContent = `No news: ${error.message}`;
    now.className = "lost";
  }
  setTimeout(look, EVERY_MS);
}

theme();
addEventListener("storage", theme);
look();
