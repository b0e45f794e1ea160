// @ts-check
import { arrange, h, say } from './dom.js';
import { store } from './store.js';
import { colour, eur, int, percent } from './format.js';

/** @typedef {import('./store.js').Driver} Driver */

const rowsMax = 400;

/** @type {Record<string, {label:string, order:(a:Driver,b:Driver)=>number}>} */
const orders = {
  worst: { label: 'Lowest score', order: (a, b) => a.score - b.score },
  best: { label: 'Highest score', order: (a, b) => b.score - a.score },
  dear: { label: 'Highest premium', order: (a, b) => b.cents - a.cents },
  cheap: { label: 'Lowest premium', order: (a, b) => a.cents - b.cents },
  far: { label: 'Most kilometres', order: (a, b) => b.km - a.km },
  id: { label: 'Device', order: () => 0 },
};

customElements.define('pay-drivers', class extends HTMLElement {
  count = h('span', { class: 'note' });
  search = h('input', { type: 'search', placeholder: 'Find a device   /', 'aria-label': 'Find a device', oninput: () => this.draw(true) });
  sort = h('select', { 'aria-label': 'Order', onchange: () => this.draw(true) },
    ...Object.entries(orders).map(([value, o]) => h('option', { value, text: o.label })));
  driving = h('input', { type: 'checkbox', onchange: () => this.draw(true) });
  list = h('ul', { class: 'rows', onkeydown: (/** @type {KeyboardEvent} */ e) => this.move(e) });
  empty = h('p', { class: 'empty' });
  /** @type {Map<string, any>} */
  rows = new Map();
  sorted = 0; // when the rows were last put in order
  known = 0; // how many drivers there were then
  /** @type {string|null} */
  back = null; // the driver to come back to

  connectedCallback() {
    this.append(
      h('div', { class: 'head' }, h('h2', { id: 'drivers-title', text: 'Drivers' }), this.count),
      h('div', { class: 'tools' }, this.search, this.sort, h('label', { class: 'check' }, this.driving, 'driving')),
      h('div', { class: 'columns', 'aria-hidden': 'true' }, h('span', { text: 'Device' }), h('span', { text: 'Score' }), h('span', { text: 'Premium a year' })),
      this.list, this.empty);
    store.addEventListener('tick', () => this.draw(false));
    store.addEventListener('select', () => {
      this.hidden = store.selected !== null;
      if (!this.hidden && this.back) this.rows.get(this.back)?.node.querySelector('a').focus();
      this.back = store.selected;
    });
    this.hidden = store.selected !== null;
    this.draw(true);
  }

  /** Arrow keys go through the list. @param {KeyboardEvent} event */
  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const item = document.activeElement?.closest('li');
    if (!step || !item) return;
    event.preventDefault();
    /** @type {HTMLElement|null|undefined} */ ((step > 0 ? item.nextElementSibling : item.previousElementSibling)?.querySelector('a'))?.focus();
  }

  /** Rows are updated each tick, but reordered only now and then: a list that jumps cannot be read. @param {boolean} now */
  draw(now) {
    if (this.hidden) return;
    for (const driver of store.drivers.values()) this.rows.get(driver.id)?.update(driver);
    const busy = this.list.contains(document.activeElement) || this.list.matches(':hover');
    if (now || store.drivers.size !== this.known || (!busy && Date.now() - this.sorted > 5000)) this.arrange();
  }

  arrange() {
    this.sorted = Date.now();
    this.known = store.drivers.size;
    const wanted = this.search.value.trim().toLowerCase();
    let all = [...store.drivers.values()];
    if (wanted) all = all.filter((d) => d.id.toLowerCase().includes(wanted));
    if (this.driving.checked) all = all.filter((d) => d.on);
    all.sort((a, b) => orders[this.sort.value].order(a, b) || (a.id < b.id ? -1 : 1));
    arrange(this.list, all.slice(0, rowsMax).map((d) => this.row(d).node));
    say(this.count, all.length > rowsMax ? `${rowsMax} of ${int(all.length)}` : int(all.length));
    this.empty.hidden = all.length > 0;
    this.list.hidden = all.length === 0;
    say(this.empty, store.drivers.size === 0
      ? 'No premium yet. The first ones appear seconds after the first messages have been read.'
      : 'No driver matches.');
  }

  /** @param {Driver} driver */
  row(driver) {
    let row = this.rows.get(driver.id);
    if (!row) {
      row = newRow(driver.id);
      this.rows.set(driver.id, row);
    }
    row.update(driver);
    return row;
  }
});

/** @param {string} id */
function newRow(id) {
  const state = h('span', { class: 'state', role: 'img' }), why = h('span', { class: 'sub' });
  const bar = h('span', { class: 'meter', 'aria-hidden': 'true' }), score = h('b', { class: 'num' });
  const premium = h('b', { class: 'num' }), change = h('span', { class: 'change' });
  const node = h('li', {}, h('a', { href: `#driver/${encodeURIComponent(id)}` },
    state, h('span', { class: 'who' }, h('span', { class: 'id', text: id }), why),
    h('span', { class: 'score' }, score, bar), h('span', { class: 'price' }, premium, change)));
  let seen = -1;
  return {
    node,
    /** @param {Driver} d */
    update(d) {
      if (d.rev === seen) return;
      seen = d.rev;
      state.dataset.on = String(d.on);
      state.setAttribute('aria-label', d.on ? 'driving' : 'parked');
      say(why, d.why);
      say(score, d.score.toFixed(0));
      bar.style.setProperty('--share', String(d.score / 100));
      bar.style.setProperty('--colour', colour(d.score));
      say(premium, eur(d.cents));
      const change100 = (d.cents / d.base - 1) * 100;
      say(change, percent(change100, 0));
      change.dataset.up = String(change100 > 0);
    },
  };
}
