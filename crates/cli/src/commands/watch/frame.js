// Looks for news every two seconds and loads the report anew when something changed, at the place that the reader is at.
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

function reload() {
  const inside = report.contentWindow;
  const [x, y] = [inside.scrollX, inside.scrollY];
  report.addEventListener("load", () => report.contentWindow.scrollTo(x, y), { once: true });
  inside.location.reload();
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

look();
