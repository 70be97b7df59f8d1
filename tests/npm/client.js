// The real client of a Realtime Database, at work on the one whose address is given: connects, writes, hears of it,
// goes away and comes back. Ends with `ok` on its last line, or with a failure.
'use strict';

const firebase = require(process.argv[3] + '/node_modules/firebase/app');
require(process.argv[3] + '/node_modules/firebase/database');

const app = firebase.initializeApp({ databaseURL: process.argv[2] });
const database = app.database();
if (process.argv[4] === 'log') firebase.database.enableLogging(true);

const until = (what, begin) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('nothing came of: ' + what)), 15000);
    begin((value) => {
      clearTimeout(timer);
      console.log('done: ' + what);
      resolve(value);
    });
  });

const connected = (wanted) =>
  until(`connected is ${wanted}`, (done) => {
    const place = database.ref('.info/connected');
    const see = (now) => {
      if (now.val() === wanted) {
        place.off('value', see);
        done();
      }
    };
    place.on('value', see);
  });

const heard = (path, fits) =>
  until(`value at ${path}`, (done) => {
    const place = database.ref(path);
    const see = (now) => {
      if (fits(now.val())) {
        place.off('value', see);
        done(now.val());
      }
    };
    place.on('value', see);
  });

(async () => {
  await connected(true);
  await database.ref('from-client').set({ text: 'héllo', at: firebase.database.ServerValue.TIMESTAMP });
  const value = await heard('from-client', (now) => now && now.text === 'héllo' && typeof now.at === 'number');
  if (Math.abs(Date.now() - value.at) > 60000) throw new Error('the time is not the time');
  // Longer than one frame carries.
  const long = 'x'.repeat(50000);
  await database.ref('long').set(long);
  await heard('long', (now) => now === long);
  await database.ref('long').remove();
  await heard('long', (now) => now === null);
  await database.ref('from-client/gone').onDisconnect().set('left');
  database.goOffline();
  await connected(false);
  database.goOnline();
  await connected(true);
  await heard('from-client/gone', (now) => now === 'left');
  await database.ref('from-client').update({ text: 'bye' });
  await heard('from-client', (now) => now && now.text === 'bye' && now.gone === 'left');
  console.log('ok');
  process.exit(0);
})().catch((error) => {
  console.log('failed: ' + error.message);
  process.exit(1);
});
