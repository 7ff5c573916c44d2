-- wrk: three lists to one creation, with a bearer token
local token = "Bearer " .. string.rep("x", 180)
local body = '{"prompt":"Write a document about seamless networks for a company of three.","output_type":"docs"}'
local list, create, turn
init = function()
   list = wrk.format("GET", "/api/v1/tasks?page=1&page_size=20", { ["Authorization"] = token })
   create = wrk.format("POST", "/api/v1/tasks", { ["Authorization"] = token, ["Content-Type"] = "application/json" }, body)
   turn = 0
end
request = function()
   turn = turn + 1
   if turn % 4 == 0 then return create end
   return list
end
