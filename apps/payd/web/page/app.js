// @ts-check
// The page: what is not an element of its own, and the start.

import { store } from './store.js';
import { say } from './dom.js';
import './figures.js';
import './map.js';
import './drivers.js';
import './driver.js';
import './brokers.js';
import './pipeline.js';
import './events.js';
import './values.js';

const link = /** @type {HTMLElement} */ (document.getElementById('link'));
const banner = /** @type {HTMLElement} */ (document.getElementById('banner'));
const source = /** @type {HTMLElement} */ (document.getElementById('source'));

function showLink() {
  link.dataset.state = store.link;
  say(link, { wait: 'Connecting', live: 'Live', lost: 'Not connected' }[store.link]);
  document.documentElement.classList.toggle('stale', store.link === 'lost');
  let trouble = store.status?.problem ?? '';
  if (store.link === 'lost') trouble = 'The connection to the demo is lost: what you see is the last it said. Trying again. If it was stopped, start it with “logbahn demo”.';
  banner.hidden = trouble === '';
  say(banner, trouble);
}

store.addEventListener('link', showLink);
store.addEventListener('tick', () => {
  showLink();
  const status = store.status;
  if (!status?.mode) return;
  source.hidden = false;
  source.dataset.mode = status.mode;
  say(source, status.mode === 'simulation' ? 'Simulated data' : `Replay · ${status.what}`);
  source.title = status.mode === 'simulation'
    ? 'Cars, drives and the 90 days before are simulated. No real person is shown.'
    : 'Recorded drives, read from a file.';
});

// The theme: as the system says, or as chosen here.
const themes = ['auto', 'light', 'dark'];
const button = /** @type {HTMLElement} */ (document.getElementById('theme'));
/** @param {string} theme */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  button.setAttribute('aria-label', `Theme: ${theme === 'auto' ? 'as the system' : theme}`);
  button.title = /** @type {string} */ (button.getAttribute('aria-label'));
  try { localStorage.setItem('theme', theme); } catch { /* private windows have no storage */ }
  document.dispatchEvent(new Event('theme'));
}
let stored = null;
try { stored = localStorage.getItem('theme'); } catch { /* as above */ }
setTheme(themes.includes(stored ?? '') ? /** @type {string} */ (stored) : 'auto');
button.addEventListener('click', () => {
  const at = themes.indexOf(document.documentElement.dataset.theme ?? 'auto');
  setTheme(themes[(at + 1) % themes.length]);
});

// The chosen driver is part of the address, so that it can be sent to somebody.
function fromAddress() {
  let id = '';
  try { id = decodeURIComponent(location.hash.match(/^#driver\/(.+)$/)?.[1] ?? ''); } catch { /* half an escape: nobody's address */ }
  store.select(id || null);
}
addEventListener('hashchange', fromAddress);
store.addEventListener('select', () => {
  const want = store.selected ? `#driver/${encodeURIComponent(store.selected)}` : ' ';
  if (location.hash !== want.trim()) history.replaceState(null, '', want === ' ' ? location.pathname : want);
});

document.addEventListener('keydown', (event) => {
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === 'Escape') store.select(null);
  else if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    store.select(null);
    /** @type {HTMLElement|null} */ (document.querySelector('pay-drivers input'))?.focus();
  }
});

fromAddress();
store.connect();
