// One contestant, one round. Reports to the parent and exits, whatever the contestant leaves running.
const [file, name, quick] = process.argv.slice(2);
const { contestants } = (await import(file)).default;
const contestant = contestants.find((one) => one.name === name);
const result = await contestant.run({ quick: quick === 'true' });
process.send(result, () => process.exit(0));
