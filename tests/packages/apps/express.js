const app = require('express')();
const secret = 'of the test';
// README
app.get('/', (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  response.send(String(request.session.visits));
});
app.listen(process.env.PORT);
