from tests.service.http.fakes import connect, make_app


async def test_draining_server_is_not_ready_but_answers() -> None:
    app = make_app()
    app.context.is_draining = True
    async with connect(app) as client:
        response = await client.get("/readyz")
        answer = await client.post("/classify", json={"inputs": "a"})
    assert (response.status_code, answer.status_code) == (503, 200)
    assert "stopping" in response.json()["detail"]
