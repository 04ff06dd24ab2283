"""The part that Flask-Session's store tests have in common, which is in its fixture `app_utils`."""


def test_session(app_utils):
    app_utils.test_session(app_utils.create_app())


def test_session_is_in_the_store(app_utils):
    app = app_utils.create_app()
    cookie = app_utils.test_session_with_cookie(app).split(";")[0]
    client = app.test_client(use_cookies=False)
    assert client.get("/get", headers={"cookie": cookie}).data == b"44"
