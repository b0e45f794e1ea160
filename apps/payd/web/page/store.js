// @ts-check
// What the page knows, kept up to date by the server's stream. Elements listen for its events:
//   tick    new figures and positions
//   link    the stream was opened or lost
//   select  another driver was chosen, or none

/** @typedef {{name:string,rate:number,total:number}} Topic */
/** @typedef {{name:string,does:string,topic:string,state:string,members:number,lag:number}} Group */
/** @typedef {{reason:string,text:string,n:number}} DeadLetter */
/** @typedef {{sent:number,acknowledged:number,given_up:number,arrived:number,waiting:number,lost:number,doubled:number}} Audit */
/** @typedef {{id:number,address:string,alive:boolean,running:boolean,controller:boolean,leads:number,replicas:number,behind:number,leader:boolean}} Broker */
/** @typedef {{audit:Audit,brokers:Broker[],t:number,mode:string,what:string,rate:number,total:number,topics:Topic[]|null,groups:Group[]|null,dead:DeadLetter[],dead_total:number,drivers:number,driving:number,mean_score:number,mean_cents:number,problem:string}} Status */
/** @typedef {{id:string,lat:number,lon:number,h:number,v:number,limit?:number,on:boolean,t:number}} Car */
/** @typedef {{id:string,score:number,cents:number,base:number,km:number,trips:number,days:number,sim_days:number,sim:boolean,on:boolean,why:string,rev:number}} Driver */
/** @typedef {{id:string,driver:string,kind:string,t:number,level:number,text:string,lat:number,lon:number,placed:boolean}} Event_ */

const samplesMax = 90;
const eventsMax = 60;
const silentMs = 10000; // without a tick, which are a second apart: the stream is dead, whatever the browser thinks
const retryMs = 2000;

class Store extends EventTarget {
  /** @type {Status|null} */
  status = null;
  /** @type {Car[]} */
  cars = [];
  /** @type {Map<string, Driver>} */
  drivers = new Map();
  /** @type {Event_[]} the newest first */
  events = [];
  /** @type {Event_[]} of this tick */
  fresh = [];
  /** @type {Map<string, number[]>} samples by series, a second apart */
  series = new Map();
  /** @type {'wait'|'live'|'lost'} */
  link = 'wait';
  /** @type {string|null} */
  selected = null;
  ticks = 0;
  /** which run of the server the page is of */
  run = '';
  silence = 0; // a timer

  connect() {
    const source = new EventSource('api/stream');
    const again = () => {
      source.close();
      clearTimeout(this.silence);
      this.setLink('lost');
      setTimeout(() => this.connect(), retryMs);
    };
    const heard = () => {
      clearTimeout(this.silence);
      this.silence = setTimeout(again, silentMs);
    };
    heard();
    source.onopen = () => {
      this.ticks = 0;
      this.setLink('live');
    };
    source.onerror = () => {
      this.setLink('lost');
      if (source.readyState === EventSource.CLOSED) again(); // it does not try again by itself
    };
    source.onmessage = (message) => {
      heard();
      this.take(JSON.parse(message.data));
    };
  }

  /** @param {'wait'|'live'|'lost'} link */
  setLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.dispatchEvent(new Event('link'));
  }

  /** @param {{run:string,status:Status,cars:Car[],drivers:Driver[],events:Event_[]}} tick */
  take(tick) {
    // A server that was started anew may have other cars, another town, another page, and counts revisions from the start.
    if (this.run && this.run !== tick.run) {
      location.reload();
      return;
    }
    this.run = tick.run;
    this.status = tick.status;
    this.cars = tick.cars;
    for (const driver of tick.drivers) this.drivers.set(driver.id, driver);
    const known = new Set(this.events.map((e) => e.id));
    this.fresh = tick.events.filter((e) => !known.has(e.id));
    this.events = [...this.fresh, ...this.events].sort((a, b) => b.t - a.t).slice(0, eventsMax);
    if (this.ticks++ === 0) this.fresh = [];
    this.sample('rate', tick.status.rate);
    this.sample('driving', tick.status.driving);
    for (const group of tick.status.groups ?? []) this.sample(`lag ${group.name}`, group.lag);
    this.dispatchEvent(new Event('tick'));
  }

  /** @param {string} name @param {number} value */
  sample(name, value) {
    const samples = this.series.get(name) ?? [];
    samples.push(value);
    if (samples.length > samplesMax) samples.shift();
    this.series.set(name, samples);
  }

  /** @param {string|null} id */
  select(id) {
    if (this.selected === id) return;
    this.selected = id;
    this.dispatchEvent(new Event('select'));
  }
}

export const store = new Store();
